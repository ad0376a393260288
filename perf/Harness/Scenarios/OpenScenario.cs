using System.Diagnostics;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

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

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Many(".safetensors"), DataFiles.Vocabulary];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var tensors = await TensorFiles.ManyAsync(options, ".safetensors", cancellationToken);
        var vocabulary = await TensorFiles.VocabularyAsync(options, cancellationToken);
        options.Log.WriteLine("opening in new processes");
        var (first, later) = await OpenAsync(options, tensors, cancellationToken);
        var (firstVocabulary, laterVocabulary) = await OpenAsync(options, vocabulary, cancellationToken);
        var tool = new List<double>();
        for (var i = 0; i < options.Rounds; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await ToolProcess.RunAsync(["verify", tensors], cancellationToken);
            tool.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        return
        [
            HeaderRead.RowOf("open 10,000 tensors, first in a process", first) with { Budget = 0.060 },
            HeaderRead.RowOf("open 10,000 tensors, 2nd to 20th", later) with { Budget = 0.012 },
            HeaderRead.RowOf("open a vocabulary of 150,000 tokens, first in a process", firstVocabulary),
            HeaderRead.RowOf("open a vocabulary of 150,000 tokens, 2nd to 20th", laterVocabulary) with { Budget = 0.030 },
            Measurement.Of("tool, from start to exit of verify", MeasuredQuantity.Seconds, tool).Because("a process is started") with { Budget = 0.200 },
        ];
    }

    /// <summary>Opens a checkpoint twenty times in each of several new processes, in turn with plain reads of its headers: seconds of the first, and of the later ones.</summary>
    internal static async Task<(List<MeasuredPair> First, List<MeasuredPair> Later)> OpenAsync(HarnessOptions options, string path, CancellationToken cancellationToken)
    {
        var first = new List<MeasuredPair>();
        var later = new List<MeasuredPair>();
        for (var i = 0; i < options.Rounds; i++)
        {
            var times = (await ToolProcess.RunSelfAsync([OpenChild.Argument, path], cancellationToken))
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split(' ').Select(word => double.Parse(word, CultureInfo.InvariantCulture)).ToArray())
                .Select(words => new MeasuredPair(words[0], words[1]))
                .ToArray();
            first.Add(times[0]);
            later.Add(new MeasuredPair(
                MeasuredStatistic.Of(times.Skip(1).Select(pair => pair.Ours)).Median, MeasuredStatistic.Of(times.Skip(1).Select(pair => pair.Other)).Median));
        }

        return (first, later);
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
                await using var checkpoint = await Checkpoint.OpenAsync(path);
                var opened = Stopwatch.GetElapsedTime(started).TotalSeconds;
                var read = HeaderRead.Measure([.. checkpoint.Files.Select(file => file.Path)], HeaderRead.BytesOf(checkpoint), CancellationToken.None);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{opened:R} {read:R}"));
            }
        }
    }
}
