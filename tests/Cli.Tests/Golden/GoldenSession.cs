using System.Text;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>
/// Runs a case's commands and writes them down as a terminal would show them: the command line behind <c>$</c>, standard
/// output, standard error with <c>2&gt;</c> before each line, and the exit code behind <c>=&gt;</c>.
/// </summary>
internal static class GoldenSession
{
    private static readonly string Samples = Path.Combine(RepositoryPaths.Root, "samples");

    /// <summary>Runs all commands of a case in a new folder.</summary>
    public static async Task<string> TranscribeAsync(GoldenCase golden)
    {
        using var folder = new TemporaryFolder();
        GoldenInputs.WriteTo(folder);
        var transcript = new StringBuilder();
        foreach (var command in golden.Commands)
        {
            var words = command
                .Replace("{tmp}", folder.Path, StringComparison.Ordinal)
                .Replace("{samples}", Samples, StringComparison.Ordinal)
                .Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (transcript.Length > 0)
            {
                transcript.Append('\n');
            }

            if (words is ["cat" or "ls", var path])
            {
                var shown = words[0] == "cat" ? await File.ReadAllTextAsync(path) : List(path);
                transcript.Append("$ ").Append(command).Append('\n').Append(Ended(Scrubbing.Apply(shown, folder, golden)));
                continue;
            }

            var run = await ToolRun.OfAsync(words);
            var output = words.Contains("--json") ? DocumentLayout.Spread(run.Out) : run.Out;
            transcript.Append($"$ ilgpu-loader {command}".TrimEnd()).Append('\n')
                .Append(Ended(Scrubbing.Apply(output, folder, golden)))
                .Append(Quoted(Ended(Scrubbing.Apply(run.Error, folder, golden))))
                .Append("=> ").Append(run.ExitCode).Append('\n');
        }

        var text = transcript.ToString();
        Assert.DoesNotContain("\r", text, StringComparison.Ordinal);
        Assert.DoesNotContain(" \n", text, StringComparison.Ordinal);
        return text;
    }

    private static string List(string folder) =>
        string.Concat(new DirectoryInfo(folder).EnumerateFiles().OrderBy(file => file.Name, StringComparer.Ordinal).Select(file => $"{file.Length,8}  {file.Name}\n"));

    private static string Ended(string text) => text.Length == 0 || text.EndsWith('\n') ? text : text + "{no line break}\n";

    private static string Quoted(string text) =>
        text.Length == 0 ? "" : string.Concat(text[..^1].Split('\n').Select(line => $"2> {line}".TrimEnd(' ') + "\n"));
}
