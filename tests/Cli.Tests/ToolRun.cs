using System.Text.Json;
using IlgpuLoader.Cli.Output;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>One run of the tool: what it wrote and ended with.</summary>
internal sealed record ToolRun(int ExitCode, string Out, string Error)
{
    /// <summary>Runs a command line within this process.</summary>
    public static Task<ToolRun> OfAsync(params string[] args) => OfAsync(showProgress: false, CancellationToken.None, args);

    /// <summary>Runs a command line within this process, with a progress bar or a token.</summary>
    public static async Task<ToolRun> OfAsync(bool showProgress, CancellationToken cancellationToken, params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var exitCode = await Tool.RunAsync(args, new CommandConsole(output, error, showProgress), cancellationToken);
        return new ToolRun(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>The one document on standard output: one line, the schema first.</summary>
    public JsonElement Document(string schema)
    {
        Assert.EndsWith("\n", Out, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', Out[..^1]);
        using var document = JsonDocument.Parse(Out, new JsonDocumentOptions { AllowDuplicateProperties = false });
        var root = document.RootElement.Clone();
        Assert.Equal("schema", root.EnumerateObject().First().Name);
        Assert.Equal(schema, root.GetProperty("schema").GetString());
        return root;
    }

    /// <summary>The error document, which says the exit code that the run ended with, and its line on standard error.</summary>
    public JsonElement ErrorDocument(string code, int exitCode)
    {
        var error = Document("ilgpu-loader/error/1").GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Equal(exitCode, error.GetProperty("exitCode").GetInt32());
        Assert.Equal(exitCode, ExitCode);
        Assert.NotEqual("", error.GetProperty("message").GetString());
        Assert.Contains("error:", Error, StringComparison.Ordinal);
        return error;
    }
}
