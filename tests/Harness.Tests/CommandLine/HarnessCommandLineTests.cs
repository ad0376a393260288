using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class HarnessCommandLineTests
{
    private static readonly string[] Known = ["open", "load"];

    [Fact]
    public void Scenarios_and_options_come_in_any_order()
    {
        var (line, error) = HarnessCommandLine.Parse(
            ["load", "--rounds", "3", "--mib", "64", "--data", "d", "--out", "o", "load", "--compare", "c.json", "--readme", "r.md", "--from", "f.json", "--list"], Known);
        Assert.Null(error);
        Assert.Equal(["load"], line!.Scenarios);
        Assert.Equal((3, 64, "d", "o"), (line.Options.Rounds, line.Options.Mebibytes, line.Options.DataFolder, line.Options.OutputFolder));
        Assert.Equal(("c.json", "r.md", "f.json", true), (line.Options.Compare, line.Options.Readme, line.From, line.List));
    }

    [Fact]
    public void Nothing_means_the_defaults_and_all_means_every_scenario()
    {
        Assert.Equal(11, HarnessCommandLine.Parse([], Known).Line!.Options.Rounds);
        Assert.Empty(HarnessCommandLine.Parse([], Known).Line!.Scenarios);
        Assert.True(HarnessCommandLine.Parse(["--help"], Known).Line!.Help);
        Assert.True(HarnessCommandLine.Parse(["-h", "load"], Known).Line!.Help);
        Assert.Equal(Known, HarnessCommandLine.Parse(["all"], Known).Line!.Scenarios);
    }

    [Theory]
    [InlineData("There is no scenario 'close'; there are open, load and all.", "close")]
    [InlineData("--rounds needs a value, or is no option.", "--rounds")]
    [InlineData("'--rounds 0' cannot be read.", "--rounds", "0")]
    [InlineData("'--mib many' cannot be read.", "--mib", "many")]
    [InlineData("'--fast x' cannot be read.", "--fast", "x")]
    public void What_cannot_be_read_is_said(string expected, params string[] arguments)
    {
        var (line, error) = HarnessCommandLine.Parse(arguments, Known);
        Assert.Null(line);
        Assert.Equal(expected, error);
    }
}
