using System.Diagnostics;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Harness;

/// <summary>
/// A safetensors file of 10,000 tensors, and a GGUF file with a vocabulary of 150,000 tokens: how long opening takes, first and
/// later, and from the start of the tool.
/// </summary>
internal sealed class OpenScenario : IScenario
{
    private const int Opens = 20;

    public string Name => "open";

    public string Description => "open 10,000 tensors, and a vocabulary of 150,000: first, later, and from the start of the tool";

    public async Task<IReadOnlyList<Row>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var tensors = await Data.ManyTensorsAsync(options, ".safetensors", cancellationToken);
        var vocabulary = await Data.VocabularyAsync(options, cancellationToken);
        options.Log.WriteLine("opening in new processes");
        var (first, later) = await OpenAsync(options, tensors, cancellationToken);
        var (firstVocabulary, laterVocabulary) = await OpenAsync(options, vocabulary, cancellationToken);
        var tool = new List<double>();
        for (var i = 0; i < options.Rounds; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await ToolProcess.RunAsync(["verify", tensors], cancellationToken);
            tool.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        return
        [
            new Row("open 10,000 tensors, first in a process", $"{first.ToString("0.0")} ms", "", "", "≤ 60 ms"),
            new Row("open 10,000 tensors, 2nd to 20th", $"{later.ToString("0.0")} ms", "", "", "≤ 12 ms"),
            new Row("open a vocabulary of 150,000 tokens, first in a process", $"{firstVocabulary.ToString("0.0")} ms", "", "", ""),
            new Row("open a vocabulary of 150,000 tokens, 2nd to 20th", $"{laterVocabulary.ToString("0.0")} ms", "", "", "≤ 30 ms"),
            new Row("tool, from start to exit of verify", $"{Statistic.Of(tool).ToString("0")} ms", "", "", "≤ 200 ms to opened"),
        ];
    }

    /// <summary>Opens a checkpoint twenty times in each of several new processes: milliseconds of the first, and of the later ones.</summary>
    internal static async Task<(Statistic First, Statistic Later)> OpenAsync(HarnessOptions options, string path, CancellationToken cancellationToken)
    {
        var first = new List<double>();
        var later = new List<double>();
        for (var i = 0; i < options.Rounds; i++)
        {
            var times = (await ToolProcess.RunSelfAsync([OpenChild.Argument, path], cancellationToken))
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => double.Parse(line, System.Globalization.CultureInfo.InvariantCulture))
                .ToArray();
            first.Add(times[0]);
            later.Add(Statistic.Of(times.Skip(1)).Median);
        }

        return (Statistic.Of(first), Statistic.Of(later));
    }

    /// <summary>The measuring process: nothing has been compiled or cached before its first open.</summary>
    internal static class OpenChild
    {
        public const string Argument = "--child-open";

        public static async Task RunAsync(string path)
        {
            for (var i = 0; i < Opens; i++)
            {
                var started = Stopwatch.GetTimestamp();
                await using (await Checkpoint.OpenAsync(path))
                {
                    Console.WriteLine(Stopwatch.GetElapsedTime(started).TotalMilliseconds.ToString(System.Globalization.CultureInfo.InvariantCulture));
                }
            }
        }
    }
}
