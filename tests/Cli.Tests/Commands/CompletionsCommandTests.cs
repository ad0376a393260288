using System.Diagnostics;
using IlgpuLoader.Gpu;
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
    public async Task Behind_a_comma_come_the_devices_that_are_not_named_yet()
    {
        var others = DeviceCatalog.List().Where(device => device.Unusable is null && device.Id is not ("host" or "meta")).Select(device => device.Id).ToList();
        Assert.Equal(["opencl:77,host", .. others.Select(id => $"opencl:77,{id}")], await SuggestAsync("load a --device opencl:77,"));
        Assert.Equal(others.Select(id => $"host,{id}"), await SuggestAsync("load a --device host,"));
        Assert.Equal(["host", .. others], (await SuggestAsync("convert a b --device ")).Where(id => id != "auto" && !id.StartsWith('-')));

        static async Task<IEnumerable<string>> SuggestAsync(string line)
        {
            var run = await ToolRun.OfAsync($"[suggest:{line.Length}]", line);
            return run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).OrderBy(id => !id.EndsWith("host", StringComparison.Ordinal)).ThenBy(id => id, StringComparer.Ordinal);
        }
    }

    [Fact]
    public async Task Another_shell_is_a_usage_error() => Assert.Equal(2, (await ToolRun.OfAsync("completions", "cmd")).ExitCode);

    public static TheoryData<string, string> Lines => new()
    {
        { "ilgpu-loader conv", "convert" },
        { "ilgpu-loader convert a b --max", "--max-shard-size" },
        { "ilgpu-loader convert a b --format g", "gguf" },
        { "ilgpu-loader convert a b --dtype f8_e5", "f8_e5m2 f8_e5m2fnuz" },
        { "ilgpu-loader load a --device h", "host" },
        { "ilgpu-loader show a b --device h", "host" },
        // Only what has values, and has room for more, is behind a comma; each device once.
        { "ilgpu-loader show a b --device m", "" },
        { "ilgpu-loader load a --device host,h", "" },
        { "ilgpu-loader load a --check", "--check-finite" },
        { "ilgpu-loader show TENSORS block", "block.$(id) block.1" },
        // Paths are the shell's own, also where no character is there yet.
        { "ilgpu-loader inspect samp", "" },
        { "ilgpu-loader convert ", "" },
    };

    [ShellTheory("bash")]
    [MemberData(nameof(Lines))]
    [InlineData("ilgpu-loader load a --device=h", "host")]
    public Task Bash_completes_commands_options_values_and_names(string line, string expected) => CompleteAsync("bash", line, expected);

    [ShellTheory("zsh")]
    [MemberData(nameof(Lines))]
    [InlineData("ilgpu-loader load a --device=h", "host")]
    public Task Zsh_completes_commands_options_values_and_names(string line, string expected) => CompleteAsync("zsh", line, expected);

    [ShellTheory("fish")]
    [MemberData(nameof(Lines))]
    [InlineData("ilgpu-loader load a --device=h", "--device=host")]
    public Task Fish_completes_commands_options_values_and_names(string line, string expected) => CompleteAsync("fish", line, expected);

    private static async Task CompleteAsync(string shell, string line, string expected)
    {
        using var folder = new TemporaryFolder();
        var tensors = folder.Write("t.safetensors", new SafetensorsBuilder().Add("block.1", "U8", [1], [1]).Add("block.$(id)", "U8", [1], [1]).ToBytes());
        line = line.Replace("TENSORS", tensors, StringComparison.Ordinal);
        // fish counts its arguments from the first behind the script, the others from the name.
        string[] arguments = shell == "fish" ? ["-c", ScriptOf(shell), line] : ["-c", ScriptOf(shell), shell, line];
        var start = new ProcessStartInfo(ShellTheoryAttribute.PathOf(shell)!, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            WorkingDirectory = folder.Path,
        };
        start.Environment["PATH"] = AppContext.BaseDirectory + Path.PathSeparator + Environment.GetEnvironmentVariable("PATH");
        start.Environment["HOME"] = folder.Path;
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(expected.Split(' ').Order(StringComparer.Ordinal), output.TrimEnd('\n').Split('\n').Order(StringComparer.Ordinal));
    }

    // What the shell does when Tab is pressed at the end of the line that is its argument.
    private static string ScriptOf(string shell) => shell switch
    {
        "bash" =>
            """
            source <(ilgpu-loader completions bash)
            COMP_LINE=$1; COMP_POINT=${#1}; IFS=" " read -ra COMP_WORDS <<< "${1//=/ = }"
            [[ $1 == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ilgpu_loader; printf "%s\n" "${COMPREPLY[@]}"
            """,
        "zsh" =>
            """
            compdef() { :; }; compset() { :; }; _files() { :; }; compadd() { shift; print -rl -- "$@"; }
            source <(ilgpu-loader completions zsh)
            words=("${(@s: :)1}"); CURRENT=${#words}; _ilgpu_loader
            """,
        _ =>
            """
            ilgpu-loader completions fish | source
            for found in (complete -C $argv[1]); echo (string split \t -- $found)[1]; end | string match -v -- 'samp*' | string match -v -- 't.safetensors'
            """,
    };
}
