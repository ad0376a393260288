using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class VerifyCommandTests
{
    // Where this reader is stricter than the reference on purpose: the reference keeps the last of two equal names.
    private static readonly HashSet<string> Refused = ["dup_key.safetensors"];

    [Fact]
    public async Task Every_golden_file_has_the_verdict_of_the_reference()
    {
        using var folder = new TemporaryFolder();
        GoldenArchive.ExtractTo("safetensors", folder.Path);
        using var verdicts = JsonDocument.Parse(GoldenArchive.Read("safetensors", "verdicts.json"));
        var files = verdicts.RootElement.GetProperty("verdicts").EnumerateObject().ToArray();
        Assert.True(files.Length > 50);
        var differing = new List<string>();
        foreach (var file in files)
        {
            var valid = file.Value.GetProperty("verdict").GetString() == "OK" && !Refused.Contains(file.Name);
            var run = await ToolRun.OfAsync("verify", folder[file.Name]);
            var expected = valid ? $"ok {folder[file.Name]}\n" : $"invalid {folder[file.Name]}: ";
            if (run.ExitCode != (valid ? 0 : 4) || !run.Out.StartsWith(expected, StringComparison.Ordinal) || run.Out.Count(c => c == '\n') != 1)
            {
                differing.Add($"{file.Name}: {run.ExitCode} {run.Out}");
            }
        }

        Assert.Empty(differing);
    }

    [Fact]
    public async Task All_golden_files_together_are_one_document_with_a_code_for_each_that_is_invalid()
    {
        using var folder = new TemporaryFolder();
        GoldenArchive.ExtractTo("safetensors", folder.Path);
        string[] paths = [.. Directory.EnumerateFiles(folder.Path, "*.safetensors").Order(StringComparer.Ordinal)];
        var run = await ToolRun.OfAsync(["verify", "--json", .. paths]);
        Assert.Equal((4, ""), (run.ExitCode, run.Error));
        var files = run.Document("ilgpu-loader/verify/1").GetProperty("files").EnumerateArray().ToArray();
        Assert.Equal(paths, files.Select(file => file.GetProperty("path").GetString()));
        Assert.All(files, file =>
        {
            var ok = file.GetProperty("ok").GetBoolean();
            Assert.Equal(!ok, file.TryGetProperty("code", out var code));
            Assert.Equal(!ok, file.TryGetProperty("message", out _));
            Assert.True(ok || Enum.IsDefined(Enum.Parse<Formats.CheckpointErrorCode>(code.GetString()!)));
            Assert.Equal(JsonValueKind.Array, file.GetProperty("warnings").ValueKind);
        });
        Assert.Equal(
            "DuplicateTensor", files.Single(file => file.GetProperty("path").GetString() == folder["dup_key.safetensors"]).GetProperty("code").GetString());
    }

    [Fact]
    public async Task Every_path_gets_a_line_in_order_and_the_highest_exit_code_counts()
    {
        using var folder = new TemporaryFolder();
        var good = folder.Write("good.safetensors", SafetensorsBuilder.Tiny());
        var broken = folder.Write("broken.safetensors", SampleFiles.Truncated());
        var hdf5 = folder.Write("m.h5", SampleFiles.Hdf5());
        var run = await ToolRun.OfAsync("verify", broken, folder["none"], hdf5, good, folder.Path);
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal(5, lines.Length);
        Assert.StartsWith($"invalid {broken}: FileTruncated: ", lines[0], StringComparison.Ordinal);
        Assert.StartsWith($"invalid {folder["none"]}: Unreadable: ", lines[1], StringComparison.Ordinal);
        Assert.StartsWith($"invalid {hdf5}: Unsupported: ", lines[2], StringComparison.Ordinal);
        Assert.Equal($"ok {good}", lines[3]);
        // The folder has a good and a broken file, and is as good as its worst.
        Assert.StartsWith($"invalid {folder.Path}: FileTruncated: ", lines[4], StringComparison.Ordinal);
        Assert.Equal((4, ""), (run.ExitCode, run.Error));
        Assert.Equal(3, (await ToolRun.OfAsync("verify", good, folder["none"], good)).ExitCode);
    }

    [Fact]
    public async Task What_cannot_be_read_is_said_and_does_not_stop_the_rest()
    {
        using var folder = new TemporaryFolder();
        var good = folder.Write("good.safetensors", SafetensorsBuilder.Tiny());
        File.CreateSymbolicLink(folder["dangling"], folder["nowhere"]);
        string[] unreadable = [folder["dangling"], folder[new string('x', 5000)], Path.Combine(good, "below-a-file")];
        var run = await ToolRun.OfAsync(["verify", .. unreadable, good]);
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal((3, 4), (run.ExitCode, lines.Length));
        Assert.All(unreadable.Zip(lines), pair => Assert.StartsWith($"invalid {pair.First}: Unreadable: ", pair.Second, StringComparison.Ordinal));
        Assert.Equal($"ok {good}", lines[^1]);
    }

    [Fact]
    public async Task A_folder_that_can_be_read_and_holds_no_weights_is_invalid()
    {
        using var folder = new TemporaryFolder();
        folder.Write("notes.txt", "x");
        var run = await ToolRun.OfAsync("verify", folder.Path);
        Assert.Equal(4, run.ExitCode);
        Assert.StartsWith($"invalid {folder.Path}: NoWeights: ", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "GitLfsPointer")]
    [InlineData("<!DOCTYPE html><html><body>404</body></html>", "HtmlPage")]
    [InlineData("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "ZeroFilled")]
    [InlineData("", "HeaderTooSmall")]
    public async Task Files_that_are_something_else_are_named(string content, string code)
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("verify", folder.Write("model.safetensors", content));
        Assert.Equal(4, run.ExitCode);
        Assert.StartsWith($"invalid {folder["model.safetensors"]}: {code}: ", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tail_of_zeros_is_a_warning_on_standard_error_and_in_the_document()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", new SafetensorsBuilder().Add("a", "U8", [2 << 20], new byte[2 << 20]).ToBytes());
        var run = await ToolRun.OfAsync("verify", file);
        Assert.Equal((0, $"ok {file}\n"), (run.ExitCode, run.Out));
        Assert.StartsWith($"warning: {file}: ", run.Error, StringComparison.Ordinal);
        var document = (await ToolRun.OfAsync("verify", file, "--json")).Document("ilgpu-loader/verify/1");
        Assert.Contains(
            "zeros", Assert.Single(document.GetProperty("files")[0].GetProperty("warnings").EnumerateArray()).GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_of_ranks_is_held_against_their_manifests()
    {
        using var folder = new TemporaryFolder();
        await SaveRanksAsync(folder["m"]);
        var run = await ToolRun.OfAsync("verify", folder["m"], "--values");
        Assert.Equal((0, $"ok {folder["m"]}\n", ""), (run.ExitCode, run.Out, run.Error));
        var file = folder["m/model-rank-1-part-0.safetensors"];
        var content = await File.ReadAllBytesAsync(file);
        content[^1] ^= 1;
        await File.WriteAllBytesAsync(file, content);
        run = await ToolRun.OfAsync("verify", folder["m"]);
        Assert.Equal((6, ""), (run.ExitCode, run.Error));
        Assert.StartsWith($"invalid {folder["m"]}: ManifestMismatch: 1 file differs from the manifest: file 'model-rank-1-part-0.safetensors': ", run.Out, StringComparison.Ordinal);
        var document = await ToolRun.OfAsync("verify", folder["m"], "--json");
        Assert.Equal(6, document.ExitCode);
        Assert.Equal("ManifestMismatch", document.Document("ilgpu-loader/verify/1").GetProperty("files")[0].GetProperty("code").GetString());
        File.Delete(folder["m/rank-1.json"]);
        run = await ToolRun.OfAsync("verify", folder["m"]);
        Assert.Equal((4, ""), (run.ExitCode, run.Error));
        Assert.Contains("rank 1 of the world size 2 is not there", run.Out, StringComparison.Ordinal);
        File.Delete(folder["m/rank-0.json"]);
        run = await ToolRun.OfAsync("verify", folder["m"]);
        Assert.Equal((0, $"ok {folder["m"]}\n"), (run.ExitCode, run.Out));
        Assert.StartsWith($"warning: {folder["m"]}: not verified: ", run.Error, StringComparison.Ordinal);
    }

    private static async Task SaveRanksAsync(string path)
    {
        for (var rank = 0; rank < 2; rank++)
        {
            await using var folder = await Formats.JoinedFolder.JoinAsync(path, "a", rank, 2);
            var name = $"model-rank-{rank}-part-0.safetensors";
            var content = new SafetensorsBuilder().Add("t", "U8", [4], [1, 2, 3, 4]).ToBytes();
            await folder.WriteAllBytesAsync(name, content);
            var file = new Formats.ManifestFile(name, content.Length, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content)));
            var tensor = new Formats.ManifestEntry(Formats.DType.U8, new Formats.Shape(4), Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData([1, 2, 3, 4])));
            await folder.FinishAsync(new Formats.RankManifest("a", rank, 2, "p", [file], new Formats.TensorManifest([new("t", tensor)])).ToBytes());
        }
    }
}
