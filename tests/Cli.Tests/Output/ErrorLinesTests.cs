using IlgpuLoader.Cli.Output;
using Microsoft.Extensions.Logging;
using Spectre.Console;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>Lines of standard error, with a progress bar there and without.</summary>
public sealed class ErrorLinesTests
{
    [Fact]
    public void Write_WhileABarIsDrawn_GoesThroughItsTerminal()
    {
        using var error = new StringWriter { NewLine = "\n" };
        using var bar = new StringWriter { NewLine = "\n" };
        var console = new CommandConsole(TextWriter.Null, error, ShowProgress: true);
        // The options of a command make a copy.
        var copy = console with { Verbose = true };
        using (console.Lines.Above(AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(bar) })))
        {
            copy.Warn("in [between]");
        }

        copy.Warn("after");
        Assert.Equal(("warning: in [between]\n", "warning: after\n"), (bar.ToString(), error.ToString()));
    }

    [Theory]
    [InlineData(false, false, "warning: w\n")]
    [InlineData(true, false, "i\nwarning: w\n")]
    [InlineData(true, true, "")]
    public void Log_OfTheLibrary_IsShownAsFarAsItIsWanted(bool verbose, bool quiet, string expected)
    {
        using var error = new StringWriter { NewLine = "\n" };
        var log = new ConsoleLog(new CommandConsole(TextWriter.Null, error, ShowProgress: false) { Verbose = verbose, Quiet = quiet });
        log.Log(LogLevel.Debug, default, "d", null, (text, _) => text);
        log.Log(LogLevel.Information, default, "i", null, (text, _) => text);
        log.Log(LogLevel.Warning, default, "w", null, (text, _) => text);
        Assert.Equal(expected, error.ToString());
    }
}
