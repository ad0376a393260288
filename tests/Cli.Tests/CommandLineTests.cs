using System.Reflection;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class CommandLineTests
{
    private static readonly string[] Names =
        ["inspect", "verify", "audit", "hash", "show", "diff", "plan", "load", "bench", "convert", "shard", "synth", "download", "cache", "serve", "health", "devices", "completions"];

    public static TheoryData<string> Commands => new(Names);

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task Help_of_a_command_shows_its_arguments_and_an_example(string command)
    {
        foreach (var option in new[] { "--help", "-h" })
        {
            var run = await ToolRun.OfAsync(command, option);
            Assert.Equal(0, run.ExitCode);
            Assert.Equal("", run.Error);
            Assert.Contains($"ilgpu-loader {command}", run.Out, StringComparison.Ordinal);
            Assert.Contains("Example:", run.Out, StringComparison.Ordinal);
            Assert.Contains("--json", run.Out, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Help_of_the_tool_has_one_line_a_command_and_the_exit_codes()
    {
        var run = await ToolRun.OfAsync("--help");
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("130 cancelled", run.Out, StringComparison.Ordinal);
        var codes = run.Out[run.Out.IndexOf("Exit codes:", StringComparison.Ordinal)..];
        Assert.All(
            typeof(ExitCodes).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (int)field.GetRawConstantValue()!),
            code => Assert.Matches($@"(^|[ ,]){code} [a-z]", codes));
        var lines = run.Out[run.Out.IndexOf("Commands:", StringComparison.Ordinal)..].Split('\n').Skip(1).TakeWhile(line => line.Trim() != "");
        Assert.Equal(Names, lines.Select(line => line.TrimStart().Split(' ')[0]));
        Assert.Contains("Example", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Version_can_be_asked_of_the_tool_and_of_every_command()
    {
        var version = await ToolRun.OfAsync("--version");
        Assert.Equal(0, version.ExitCode);
        Assert.Matches(@"^\d+\.\d+\.\d+", version.Out);
        foreach (var command in Names)
        {
            var run = await ToolRun.OfAsync(command, "--version");
            Assert.Equal((0, version.Out, ""), (run.ExitCode, run.Out, run.Error));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("inspct")]
    [InlineData("inspect")]
    [InlineData("verify")]
    [InlineData("hash")]
    [InlineData("diff")]
    [InlineData("diff a")]
    [InlineData("diff a b c")]
    [InlineData("show a")]
    [InlineData("show a b --count many")]
    [InlineData("show a b --count -1")]
    [InlineData("show a b --count 1001")]
    [InlineData("inspect a --tree --stats")]
    [InlineData("plan")]
    [InlineData("convert a")]
    [InlineData("completions")]
    [InlineData("load")]
    [InlineData("synth")]
    [InlineData("synth llama")]
    [InlineData("synth bert OUT")]
    [InlineData("devices more")]
    [InlineData("inspect a b")]
    [InlineData("inspect --jsno")]
    [InlineData("verify --recurse a")]
    [InlineData("hash a --device")]
    [InlineData("hash a --values f64")]
    [InlineData("load a --lanes many")]
    [InlineData("load a --dtype u8")]
    [InlineData("load -x")]
    [InlineData("synth llama --layer 3")]
    public async Task A_command_line_that_makes_no_sense_is_a_usage_error(string line)
    {
        var run = await ToolRun.OfAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.StartsWith("error: ", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.DoesNotContain(@"\u00", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nothing --json")]
    [InlineData("inspect --json")]
    [InlineData("--json verify --recurse a")]
    [InlineData("load a --memory lots --json")]
    public async Task A_usage_error_is_a_document_where_documents_are_asked_for(string line)
    {
        var run = await ToolRun.OfAsync(line.Split(' '));
        run.ErrorDocument("Usage", 2);
    }

    [Fact]
    public async Task An_unknown_option_is_named_and_not_taken_for_a_path()
    {
        var run = await ToolRun.OfAsync("verify", "--recurse", "a");
        Assert.Contains("'--recurse'", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_follows_two_dashes_is_a_path_whatever_it_looks_like()
    {
        var run = await ToolRun.OfAsync("verify", "--", "--json", "-x");
        Assert.Equal(3, run.ExitCode);
        Assert.Contains("invalid --json: ", run.Out, StringComparison.Ordinal);
        Assert.Contains("invalid -x: ", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_value_of_an_option_may_begin_with_a_dash()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", new SafetensorsBuilder().Add("-a", "U8", [1], [1]).Add("b", "U8", [1], [2]).ToBytes());
        var run = await ToolRun.OfAsync("inspect", file, "--json", "--include", "-a");
        var tensor = Assert.Single(run.Document("ilgpu-loader/inspect/1").GetProperty("tensors").EnumerateArray());
        Assert.Equal("-a", tensor.GetProperty("name").GetString());
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("verify")]
    [InlineData("hash")]
    [InlineData("plan")]
    [InlineData("load")]
    [InlineData("synth llama")]
    public async Task An_empty_path_is_a_usage_error(string command)
    {
        var run = await ToolRun.OfAsync([.. command.Split(' '), ""]);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains("empty", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_path_that_begins_with_an_at_sign_is_a_path()
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("verify", "@" + folder["arguments"]);
        Assert.Equal(3, run.ExitCode);
        Assert.StartsWith("invalid @", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_token_ends_any_command_with_130()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", SafetensorsBuilder.Tiny());
        var cancelled = new CancellationToken(canceled: true);
        foreach (var args in new[]
        {
            new[] { "inspect", file }, ["verify", file], ["hash", file], ["plan", file], ["load", file], ["diff", file, file],
            ["diff", file, file, "--values"], ["show", file, "a"], ["inspect", file, "--stats"], ["synth", "llama", folder["new"]],
            ["convert", file, folder["new"]], ["convert", file, folder["new.safetensors"]],
        })
        {
            var run = await ToolRun.OfAsync(showProgress: false, cancelled, args);
            Assert.Equal((130, "", "error: cancelled\n"), (run.ExitCode, run.Out, run.Error));
            (await ToolRun.OfAsync(showProgress: false, cancelled, [.. args, "--json"])).ErrorDocument("Cancelled", 130);
        }

        Assert.Equal([file], Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task Quiet_leaves_warnings_out_and_data_as_it_is()
    {
        using var folder = new TemporaryFolder();
        var two = SampleFiles.WithWarning(folder);
        foreach (var command in new[] { "inspect", "verify", "audit", "hash" })
        {
            var loud = await ToolRun.OfAsync(command, two);
            var quiet = await ToolRun.OfAsync(command, two, "-q");
            Assert.Equal(loud.Out, quiet.Out);
            Assert.StartsWith("warning: ", loud.Error, StringComparison.Ordinal);
            Assert.Equal("", quiet.Error);
            Assert.DoesNotContain("warning", loud.Out, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Verbose_says_where_an_error_comes_from()
    {
        using var folder = new TemporaryFolder();
        Assert.DoesNotContain(" at ", (await ToolRun.OfAsync("inspect", folder["none"])).Error, StringComparison.Ordinal);
        Assert.Contains(" at IlgpuLoader.", (await ToolRun.OfAsync("inspect", folder["none"], "-v")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_do_not_name_parameters_of_the_program()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", SafetensorsBuilder.Tiny());
        foreach (var args in new[]
        {
            new[] { "load", file, "--lanes", "0" }, ["load", file, "--memory", "1"], ["plan", file, "--tp", "2", "--rank", "2"], ["synth", "llama", folder["x"], "--layers", "0"],
        })
        {
            var run = await ToolRun.OfAsync(args);
            Assert.Equal((2, ""), (run.ExitCode, run.Out));
            Assert.DoesNotContain("Parameter", run.Error, StringComparison.Ordinal);
        }
    }
}
