using System.Text.Json;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class PlanCommandTests
{
    private static readonly LlamaOptions Llama = new() { Layers = 2, Hidden = 64, Intermediate = 176, Heads = 8, KeyValueHeads = 2, Vocabulary = 101, Shards = 2 };

    [Fact]
    public async Task Document_adds_up()
    {
        using var folder = await WriteAsync();
        var run = await ToolRun.OfAsync("plan", folder["m"], "--device", "host", "--memory", "1MiB", "--lanes", "1", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/plan/1");
        var totals = document.GetProperty("totals");
        var bytes = Number(totals, "bytesToRead");
        var tensors = document.GetProperty("tensors").EnumerateArray().ToArray();
        Assert.Equal((folder["m"], "host", "keep"), (Text(document, "path"), Text(document, "device"), Text(document, "dtype")));
        Assert.True(document.GetProperty("fits").GetBoolean());
        // Two tables of 101 tokens, 7 matrices and 2 norms a layer, one norm.
        const long elements = (2 * 101 * 64) + (2 * ((2 * 64 * 64) + (2 * 16 * 64) + (3 * 176 * 64) + 128)) + 64;
        Assert.Equal((2 * elements, 2 * elements, 2 * elements), (bytes, Number(totals, "bytesNeeded"), Number(totals, "bytes")));
        Assert.Equal((21L, 0L, 21L, 0L, 1L, 1L << 20), (
            Number(totals, "tensors"), Number(totals, "sliced"), Number(totals, "whole"), Number(totals, "tied"), Number(totals, "lanes"), Number(totals, "stagingBytes")));
        Assert.Equal(21, tensors.Length);
        Assert.Equal(bytes, tensors.Sum(tensor => Number(tensor, "storedBytes")));
        Assert.All(tensors, tensor => Assert.False(tensor.TryGetProperty("slice", out _)));
        var files = document.GetProperty("files").EnumerateArray().ToArray();
        Assert.Equal(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], files.Select(file => Text(file, "name")));
        Assert.Equal((bytes, 21L, Number(totals, "runs")), (
            files.Sum(file => Number(file, "bytesToRead")), files.Sum(file => Number(file, "tensors")), files.Sum(file => Number(file, "runs"))));
        var memory = Assert.Single(document.GetProperty("memory").EnumerateArray().ToArray());
        // One slab, in which each tensor begins at a multiple of 256 bytes.
        Assert.Equal((1L, 21L), (Number(totals, "slabs"), Number(totals, "tensorsInSlabs")));
        var slab = tensors[..^1].Sum(tensor => (Number(tensor, "bytes") + 255) / 256 * 256) + Number(tensors[^1], "bytes");
        Assert.Equal((slab, 1L << 20, slab + (1L << 20)), (Number(memory, "tensorBytes"), Number(memory, "stagingBytes"), Number(memory, "neededBytes")));
        Assert.InRange(Number(memory, "freeBytes"), 1, Number(memory, "totalBytes"));
        Assert.Empty(document.GetProperty("conversions").EnumerateArray());
        Assert.False(document.TryGetProperty("tensorParallel", out _));
        Assert.False(document.TryGetProperty("ranks", out _));
    }

    [Fact]
    public async Task A_rank_has_its_parts()
    {
        using var folder = await WriteAsync();
        var document = (await ToolRun.OfAsync("plan", folder["m"], "--tp", "4", "--rank", "3", "--json")).Document("ilgpu-loader/plan/1");
        Assert.Equal((4L, 3L), (Number(document.GetProperty("tensorParallel"), "worldSize"), Number(document.GetProperty("tensorParallel"), "rank")));
        var totals = document.GetProperty("totals");
        Assert.Equal((16L, 5L), (Number(totals, "sliced"), Number(totals, "whole")));
        var down = Assert.Single(document.GetProperty("tensors").EnumerateArray().ToArray(), tensor => Text(tensor, "name") == "model.layers.1.mlp.down_proj.weight");
        Assert.Equal("""{"dimension":1,"start":132,"length":44,"of":[64,176]}""", down.GetProperty("slice").GetRawText());
        Assert.Equal("[64,44]", down.GetProperty("shape").GetRawText());
        Assert.Equal(64 * 44 * 2, Number(down, "bytes"));
        Assert.False(document.TryGetProperty("ranks", out _));
    }

    [Fact]
    public async Task Without_a_rank_the_first_is_planned_and_all_are_listed()
    {
        using var folder = await WriteAsync();
        var document = (await ToolRun.OfAsync("plan", folder["m"], "--tp", "8", "--json")).Document("ilgpu-loader/plan/1");
        var ranks = document.GetProperty("ranks").EnumerateArray().ToArray();
        Assert.Equal(Enumerable.Range(0, 8).Select(rank => (long)rank), ranks.Select(rank => Number(rank, "rank")));
        for (var rank = 0; rank < 8; rank++)
        {
            var one = (await ToolRun.OfAsync("plan", folder["m"], "--tp", "8", "--rank", $"{rank}", "--json")).Document("ilgpu-loader/plan/1").GetProperty("totals");
            Assert.Equal(
                (Number(one, "bytesToRead"), Number(one, "bytesNeeded"), Number(one, "bytes")),
                (Number(ranks[rank], "bytesToRead"), Number(ranks[rank], "bytesNeeded"), Number(ranks[rank], "bytes")));
        }

        // The vocabulary of 101 is thirteen for each and ten for the last.
        Assert.Equal(2 * 3 * 64 * 2, Number(ranks[0], "bytes") - Number(ranks[7], "bytes"));
        var text = await ToolRun.OfAsync("plan", folder["m"], "--tp", "8");
        Assert.Contains("rank 0 of 8 (--rank chooses another)\n", text.Out, StringComparison.Ordinal);
        Assert.Matches(@"\n\nranks\n  rank +read +needed +tensors\n  0 .*\n(  \d .*\n){7}\nfiles, buffered: little is read\n", text.Out);
    }

    [Fact]
    public async Task Text_shows_conversions_the_largest_tensors_and_the_files()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("plan", file, "--dtype", "f32", "--exclude", "half.*", "--lanes", "1", "--device", "host");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal($"{file}: 5 tensors to host as f32", lines[0]);
        Assert.Matches(@"^  read +38 B +38 +bytes in 1 run over 1 lane$", lines[1]);
        Assert.Matches(@"^  needed +38 B +38 +bytes of them$", lines[2]);
        Assert.Matches(@"^  tensors +42 B +42 +bytes on host$", lines[3]);
        Assert.Matches(@"^  staging +[\d.]+ MiB +[\d,]+ +bytes of the host: 4 slots of 1\.00 MiB a lane$", lines[4]);
        Assert.Matches(@"^  host: [\d.]+ MiB needed, [\d.]+ [MGT]iB free of [\d.]+ [MGT]iB: fits$", lines[5]);
        Assert.Matches(@"^  5 tensors in 1 slab of memory, [\d.]+ (KiB|B)$", lines[6]);
        Assert.Equal(["", "conversions"], lines[7..9]);
        Assert.Matches("^  BF16 to F32 +1 tensor +4 B +to +8 B$", lines[9]);
        Assert.Equal(["", "largest tensors"], lines[10..12]);
        Assert.Matches(@"^  16 B +block\.1\.i64 +I64 +\[2\]$", lines[12]);
        Assert.Equal(["", "files"], lines[17..19]);
        Assert.Matches(@"^  mixed\.safetensors +5 tensors +1 run +38 B +buffered: little is read$", lines[19]);
        Assert.Equal(20, lines.Length);
    }

    [Fact]
    public async Task What_does_not_fit_is_planned_all_the_same_and_ends_with_7()
    {
        using var folder = new TemporaryFolder();
        var file = SampleFiles.Enormous(folder);
        var text = await ToolRun.OfAsync("plan", file, "--device", "host");
        Assert.Equal(7, text.ExitCode);
        Assert.Contains("does not fit\n", text.Out, StringComparison.Ordinal);
        Assert.Matches(@"^error: host: \d+ bytes are needed and \d+ are free\. .*--exclude.*\n$", text.Error);
        var json = await ToolRun.OfAsync("plan", file, "--device", "host", "--json");
        var document = json.Document("ilgpu-loader/plan/1");
        Assert.Equal((7, false, 1L << 42), (json.ExitCode, document.GetProperty("fits").GetBoolean(), Number(document.GetProperty("totals"), "bytes")));
        Assert.False(document.GetProperty("memory")[0].GetProperty("fits").GetBoolean());
        Assert.StartsWith("error: host: ", json.Error, StringComparison.Ordinal);
        var meta = await ToolRun.OfAsync("plan", file, "--device", "meta", "--json");
        Assert.Equal((0, ""), (meta.ExitCode, meta.Error));
        Assert.Empty(meta.Document("ilgpu-loader/plan/1").GetProperty("memory").EnumerateArray());
    }

    [Fact]
    public async Task Nothing_split_is_worth_a_warning()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("plan", file, "--tp", "2");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("warning: none of the 6 tensors has a name that --tp splits: every rank loads all of them.\n", run.Error);
        Assert.Contains("0 tensors sliced, 6 replicated", run.Out, StringComparison.Ordinal);
        Assert.Equal("", (await ToolRun.OfAsync("plan", file, "--tp", "1")).Error);
        Assert.Equal("", (await ToolRun.OfAsync("plan", file, "--tp", "2", "-q")).Error);
    }

    [Theory]
    [InlineData("--rank 1")]
    [InlineData("--tp 2 --rank 2")]
    [InlineData("--tp 2 --rank=-1")]
    [InlineData("--tp 0")]
    [InlineData("--tp many")]
    [InlineData("--lanes 0")]
    [InlineData("--memory lots")]
    [InlineData("--dtype i8")]
    public async Task Options_that_do_not_go_together_are_usage_errors(string options)
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        (await ToolRun.OfAsync(["plan", file, .. options.Split(' '), "--json"])).ErrorDocument("Usage", 2);
    }

    [Fact]
    public async Task Failures_have_their_exit_code_and_document()
    {
        using var folder = await WriteAsync();
        (await ToolRun.OfAsync("plan", folder["none"], "--json")).ErrorDocument("Unreadable", 3);
        (await ToolRun.OfAsync("plan", folder.Write("b.safetensors", SampleFiles.Truncated()), "--json")).ErrorDocument("FileTruncated", 4);
        var uneven = (await ToolRun.OfAsync("plan", folder["m"], "--tp", "3", "--json")).ErrorDocument("Unsupported", 5);
        Assert.Contains("dimension 1 of [64, 176] cannot be split evenly over 3 ranks", Text(uneven, "message"), StringComparison.Ordinal);
        (await ToolRun.OfAsync("plan", folder["m"], "--device", "cuda:77", "--json")).ErrorDocument("DeviceUnavailable", 7);
    }

    private static async Task<TemporaryFolder> WriteAsync()
    {
        var folder = new TemporaryFolder();
        await LlamaSynthesizer.WriteAsync(folder["m"], Llama);
        return folder;
    }

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static long Number(JsonElement element, string name) => element.GetProperty(name).GetInt64();
}
