using System.Diagnostics;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class TerminalTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    [TerminalFact]
    public async Task A_terminal_gets_a_progress_bar_that_is_gone_afterwards()
    {
        using var folder = new TemporaryFolder();
        using var tool = ToolProcess.StartInTerminal(["TERM=xterm-256color"], Synth(folder));
        var run = await tool.EndAsync(Bound);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("writing", run.Out, StringComparison.Ordinal);
        Assert.Contains("\u001b[38;5;", run.Out, StringComparison.Ordinal);
        // The cursor is hidden while the bar moves, and shown again.
        Assert.True(run.Out.LastIndexOf("\u001b[?25h", StringComparison.Ordinal) > run.Out.LastIndexOf("\u001b[?25l", StringComparison.Ordinal));
        Assert.EndsWith(" s", run.Out.TrimEnd(), StringComparison.Ordinal);
    }

    [TerminalFact]
    public async Task NO_COLOR_takes_the_colour_from_the_bar()
    {
        using var folder = new TemporaryFolder();
        using var tool = ToolProcess.StartInTerminal(["TERM=xterm-256color", "NO_COLOR=1"], Synth(folder));
        var run = await tool.EndAsync(Bound);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("writing", run.Out, StringComparison.Ordinal);
        Assert.DoesNotMatch("\u001b\\[[0-9;]*m", run.Out);
    }

    [TerminalFact]
    public async Task Quiet_and_documents_keep_the_terminal_free_of_bars()
    {
        using var folder = new TemporaryFolder();
        foreach (var option in new[] { "--quiet", "--json" })
        {
            using var tool = ToolProcess.StartInTerminal(["TERM=xterm-256color"], [.. Synth(folder), option, "--force"]);
            var run = await tool.EndAsync(Bound);
            Assert.Equal(0, run.ExitCode);
            Assert.DoesNotContain("writing", run.Out, StringComparison.Ordinal);
            Assert.DoesNotContain("\u001b[?25l", run.Out, StringComparison.Ordinal);
        }
    }

    [TerminalFact]
    public async Task A_second_ctrl_C_gives_the_terminal_its_cursor_back()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(0, (await ToolRun.OfAsync([.. Synth(folder), "--quiet"])).ExitCode);
        using var tool = ToolProcess.StartInTerminal(["TERM=xterm-256color"], "load", folder["m"], "--repeat", "1000000");
        var shown = new System.Text.StringBuilder();
        var buffer = new char[4096];
        while (!shown.ToString().Contains("again", StringComparison.Ordinal))
        {
            var read = await tool.Out.ReadAsync(buffer);
            Assert.NotEqual(0, read);
            shown.Append(buffer, 0, read);
        }

        var started = Stopwatch.GetTimestamp();
        // Faster than a command ends by itself, and slower than a terminal drops what is unread at every Ctrl-C.
        while (!await tool.EndsWithinAsync(TimeSpan.FromMilliseconds(5)) && Stopwatch.GetElapsedTime(started) < Bound)
        {
            await tool.TypeAsync('\u0003');
        }

        shown.Append((await tool.EndAsync(Bound)).Out);
        Assert.True(
            shown.ToString().LastIndexOf("\u001b[?25h", StringComparison.Ordinal) > shown.ToString().LastIndexOf("\u001b[?25l", StringComparison.Ordinal));
    }

    // A hundred megabytes: some tenths of a second, in which the bar is drawn.
    private static string[] Synth(TemporaryFolder folder) => ["synth", "llama", folder["m"], "--hidden", "1024", "--vocab", "16000"];
}
