using System.Diagnostics;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class CompletionsCommandTests
{
    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    [InlineData("pwsh")]
    public async Task Each_shell_gets_its_script_whose_beginning_says_where_it_goes(string shell)
    {
        var run = await ToolRun.OfAsync("completions", shell);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains($"ilgpu-loader completions {shell}", run.Out, StringComparison.Ordinal);
        Assert.Contains("[suggest:", run.Out, StringComparison.Ordinal);
        var document = (await ToolRun.OfAsync("completions", shell, "--json")).Document("ilgpu-loader/completions/1");
        Assert.Equal((shell, run.Out), (document.GetProperty("shell").GetString(), document.GetProperty("script").GetString()));
    }

    [Fact]
    public async Task Another_shell_is_a_usage_error() => Assert.Equal(2, (await ToolRun.OfAsync("completions", "cmd")).ExitCode);

    [LinuxFact]
    public async Task Bash_completes_commands_options_and_values()
    {
        Assert.Equal("convert", await CompleteAsync("ilgpu-loader conv"));
        Assert.Equal("--max-shard-size", await CompleteAsync("ilgpu-loader convert a b --max"));
        Assert.Equal("f8_e5m2 f8_e5m2fnuz", await CompleteAsync("ilgpu-loader convert a b --dtype f8_e5"));
        Assert.Equal("host", await CompleteAsync("ilgpu-loader load a --device h"));
        // Paths are bash's own.
        Assert.Equal("", await CompleteAsync("ilgpu-loader inspect samp"));
    }

    // What bash does when Tab is pressed at the end of a line.
    private static async Task<string> CompleteAsync(string line)
    {
        var script =
            "source <(ilgpu-loader completions bash); COMP_LINE=$1; COMP_POINT=${#1}; read -ra COMP_WORDS <<< \"$1\"; "
            + "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ilgpu_loader; echo \"${COMPREPLY[*]}\"";
        var start = new ProcessStartInfo("/bin/bash", ["-c", script, "bash", line]) { UseShellExecute = false, RedirectStandardOutput = true };
        start.Environment["PATH"] = AppContext.BaseDirectory + Path.PathSeparator + Environment.GetEnvironmentVariable("PATH");
        using var bash = Process.Start(start)!;
        var output = await bash.StandardOutput.ReadToEndAsync();
        await bash.WaitForExitAsync();
        Assert.Equal(0, bash.ExitCode);
        return output.TrimEnd('\n');
    }
}
