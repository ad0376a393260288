using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>Every command on files that PyTorch wrote, and on those that want to run code.</summary>
public sealed class TorchCommandTests : IDisposable
{
    private const string Allow = "--allow-unknown-globals";

    // FILE is the checkpoint, OUT a path that does not exist.
    private static readonly string[] Openings =
    [
        "inspect FILE", "verify FILE", "verify FILE --values", "hash FILE", "hash FILE --values f32", "show FILE fc.bias",
        "diff FILE FILE", "diff FILE FILE --values", "plan FILE", "load FILE", "load FILE --dtype bf16",
        "convert FILE OUT.safetensors", "convert FILE OUT.pt", "convert FILE OUT.npz", "convert FILE OUT",
    ];

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Commands => [.. Openings];

    public static TheoryData<string> Files => [.. GoldenTorch.FileNames];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task A_training_checkpoint_needs_the_option_and_the_error_names_it(string command)
    {
        var file = GoldenTorch.Write(_folder, "checkpoint.zip.pt");
        var refused = await RunAsync(command, file);
        Assert.Equal(4, refused.ExitCode);
        Assert.Contains("'argparse.Namespace'", refused.Error + refused.Out, StringComparison.Ordinal);
        Assert.Contains(Allow, refused.Error + refused.Out, StringComparison.Ordinal);
        Assert.Equal([file], Directory.EnumerateFileSystemEntries(_folder.Path));

        var read = await RunAsync(command, file, Allow);
        Assert.DoesNotContain("error:", read.Error, StringComparison.Ordinal);
        Assert.Equal(0, read.ExitCode);
        Assert.DoesNotContain("invalid", read.Out, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task Root_leaves_what_lies_below_it_and_names_the_others_where_there_is_nothing(string command)
    {
        var file = GoldenTorch.Write(_folder, "checkpoint.legacy.pt");
        var below = await RunAsync(command, file, Allow, "--root", "model");
        Assert.DoesNotContain("error:", below.Error, StringComparison.Ordinal);
        Assert.Equal(0, below.ExitCode);
        Assert.DoesNotContain("optimizer.state.0.exp_avg ", below.Out, StringComparison.Ordinal);
        var nothing = await RunAsync(command, file, Allow, "--root", "modell");
        Assert.Equal(4, nothing.ExitCode);
        Assert.Contains("'modell'", nothing.Error + nothing.Out, StringComparison.Ordinal);
        Assert.Contains("'optimizer'", nothing.Error + nothing.Out, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task Hostile_files_end_every_command_with_4_whatever_is_allowed(string name, string reason)
    {
        var file = _folder.Write(Path.GetFileName(name), GoldenArchive.Read(TorchManifest.Set, name));
        foreach (var command in Openings)
        {
            foreach (var options in (string[][])[[], [Allow], ["--root", "model", Allow]])
            {
                var run = await RunAsync(command, file, options);
                Assert.Equal((4, command), (run.ExitCode, command));
                Assert.Contains(reason, run.Error + run.Out, StringComparison.Ordinal);
                Assert.Contains("nothing of the file was executed", run.Error + run.Out, StringComparison.Ordinal);
            }
        }

        Assert.Equal([file], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    public static TheoryData<string, string> Hostile => new()
    {
        { "hostile/eval.legacy.pt", "'__builtin__.eval'" },
        { "hostile/os_system.zip.pt", "'posix.system'" },
        { "hostile/proto0_inst.pt", "INST" },
        { "hostile/stack_global.pkl", "'builtins.exec'" },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Inspect_hash_verify_and_show_agree_with_what_PyTorch_had(string name)
    {
        var file = GoldenTorch.Write(_folder, name);
        var expected = GoldenTorch.Tensors(name);
        var inspected = (await RunAsync("inspect FILE --json", file, Allow)).Document("ilgpu-loader/inspect/1")
            .GetProperty("tensors").EnumerateArray().ToDictionary(Name);
        var hashed = (await RunAsync("hash FILE --json", file, Allow)).Document("ilgpu-loader/hash/1")
            .GetProperty("files")[0].GetProperty("tensors").EnumerateArray().ToDictionary(Name);
        Assert.Equal(inspected.Keys.Order(StringComparer.Ordinal), hashed.Keys.Order(StringComparer.Ordinal));
        Assert.All(expected, golden =>
        {
            Assert.Equal(golden.Value.DType.Name, inspected[golden.Key].GetProperty("dtype").GetString());
            Assert.Equal(golden.Value.Shape, inspected[golden.Key].GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()));
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(golden.Value.Bytes)), hashed[golden.Key].GetProperty("sha256").GetString());
        });

        // That set has NaN and infinities on purpose.
        var verified = await RunAsync("verify FILE --values", file, Allow);
        Assert.Equal(name.StartsWith("alltypes.", StringComparison.Ordinal) ? 4 : 0, verified.ExitCode);
        foreach (var shown in inspected.Keys.Take(20))
        {
            var run = await ToolRun.OfAsync("show", file, shown, Allow, "--json");
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            var document = run.Document("ilgpu-loader/show/1");
            Assert.Equal(inspected[shown].GetProperty("dtype").GetString(), document.GetProperty("dtype").GetString());
            if (expected.TryGetValue(shown, out var golden) && golden is { DType: DType.F32, Shape.Rank: 2 } && verified.ExitCode == 0)
            {
                var row = document.GetProperty("values").GetProperty("rows")[0].EnumerateArray().Select(value => value.GetSingle()).ToArray();
                Assert.Equal(MemoryMarshal.Cast<byte, float>(golden.Bytes)[..row.Length].ToArray(), row);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Archives))]
    public async Task The_archive_and_the_stream_of_one_model_do_not_differ(string archive)
    {
        var stream = archive.Replace(".zip.pt", ".legacy.pt", StringComparison.Ordinal);
        var run = await ToolRun.OfAsync("diff", GoldenTorch.Write(_folder, archive), GoldenTorch.Write(_folder, stream), "--values", Allow);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("\n0 added, 0 removed, 0 changed, ", "\n" + run.Out, StringComparison.Ordinal);
    }

    public static TheoryData<string> Archives =>
        [.. GoldenTorch.FileNames.Where(name => GoldenTorch.FileNames.Any(other => other != name && other.Replace(".legacy.pt", ".zip.pt", StringComparison.Ordinal) == name))];

    [Theory]
    [InlineData("views.zip.pt", 4096)]
    [InlineData("tied.legacy.pt", 1)]
    [InlineData("checkpoint.zip.pt", 1)]
    public async Task A_manifest_of_one_format_holds_for_what_is_converted_to_another(string name, int shardBytes)
    {
        var file = GoldenTorch.Write(_folder, name);
        var manifest = _folder["manifest.json"];
        Assert.Equal(0, (await RunAsync("hash FILE", file, Allow, "--write", manifest)).ExitCode);
        foreach (var format in (string[])["safetensors", "pt", "npz"])
        {
            var output = _folder["out-" + format];
            var converted = await ToolRun.OfAsync(
                "convert", file, output, Allow, "--format", format, "--max-shard-size", $"{shardBytes}B");
            Assert.DoesNotContain("error:", converted.Error, StringComparison.Ordinal);
            var loaded = await ToolRun.OfAsync("load", output, "--device", "host", "--verify", manifest);
            Assert.Equal((0, ""), (loaded.ExitCode, loaded.Error));
        }
    }

    private static string Name(JsonElement tensor) => tensor.GetProperty("name").GetString()!;

    private Task<ToolRun> RunAsync(string command, string file, params string[] options)
    {
        var output = _folder[$"out-{Guid.NewGuid():N}"];
        return ToolRun.OfAsync([
            .. command.Split(' ').Select(word => word == "FILE" ? file : word.Replace("OUT", output, StringComparison.Ordinal)), .. options,
        ]);
    }
}
