using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class LoadCommandTests
{
    [Fact]
    public async Task Document_says_what_was_loaded_and_how_long_each_part_took()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("load", file, "--device", "host", "--repeat", "2", "--memory", "1MiB", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/load/1");
        Assert.Equal((file, "host", "keep"), (Text(document, "path"), Text(document, "device"), Text(document, "dtype")));
        Assert.Equal((6L, 40L, 40L), (Number(document, "tensors"), Number(document, "bytesRead"), Number(document, "bytes")));
        Assert.InRange(Number(document, "stagingBytes"), 1, 1 << 20);
        Assert.True(Number(document, "lanes") >= 1);
        Assert.True(Number(document, "peakMemoryBytes") > 1 << 20);
        Assert.True(document.GetProperty("openSeconds").GetDouble() > 0);
        var loads = document.GetProperty("loads").EnumerateArray().ToArray();
        Assert.Equal(3, loads.Length);
        Assert.All(loads, load =>
        {
            var seconds = load.GetProperty("seconds").GetDouble();
            Assert.True(seconds > 0);
            Assert.Equal(40 / seconds / 1e9, load.GetProperty("gigabytesPerSecond").GetDouble(), 40 / seconds / 1e9 / 100);
            Assert.InRange(load.GetProperty("firstTouchSeconds").GetDouble(), 0, seconds);
            Assert.InRange(load.GetProperty("readSeconds").GetDouble(), 0, seconds);
            Assert.InRange(load.GetProperty("placeSeconds").GetDouble(), 0, seconds);
        });
    }

    [Fact]
    public async Task Values_that_a_narrow_dtype_makes_infinite_end_with_four_and_the_tensors_name()
    {
        using var folder = new TemporaryFolder();
        float[] values = [1, 2, 70_000];
        var file = folder.Write(
            "a.safetensors", new SafetensorsBuilder().Add("w", "F32", [3], System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan())).ToBytes());
        var fine = await ToolRun.OfAsync("load", file, "--device", "host", "--check-finite", "--json");
        Assert.Equal((0, ""), (fine.ExitCode, fine.Error));
        Assert.Equal(1, Number(fine.Document("ilgpu-loader/load/1"), "finiteTensors"));
        var bad = await ToolRun.OfAsync("load", file, "--device", "host", "--dtype", "f16", "--check-finite");
        Assert.Equal((4, ""), (bad.ExitCode, bad.Out));
        Assert.Contains("tensor 'w': of 3 values 1 is infinite as F16 on host, the first at [2]; ", bad.Error, StringComparison.Ordinal);
        var unasked = await ToolRun.OfAsync("load", file, "--device", "host", "--dtype", "f16", "--json");
        Assert.False(unasked.Document("ilgpu-loader/load/1").TryGetProperty("finiteTensors", out _));
    }

    [Fact]
    public async Task Text_has_a_line_a_load()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("load", file, "--repeat", "1", "--lanes", "1");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal(5, lines.Length);
        Assert.Equal($"{file}: 6 tensors, 40 B read (buffered), 40 B on host as stored, 1 lane", lines[0]);
        Assert.Matches(@"^ +seconds +GB/s +first touch s +reads s +placing s$", lines[1]);
        Assert.Matches(@"^  load( +\d+\.\d+){5}$", lines[2]);
        Assert.Matches(@"^  again 1( +\d+\.\d+){5}$", lines[3]);
        Assert.Matches(@"^opened in \d+\.\d{3} s, peak memory [\d.]+ [KMG]iB$", lines[4]);
    }

    [Theory]
    [InlineData("keep", 8 + 4 + 16 + 2 + 8)]
    [InlineData("f32", 8 + 8 + 16 + 2 + 8)]
    [InlineData("f16", 4 + 4 + 16 + 2 + 8)]
    [InlineData("bf16", 4 + 4 + 16 + 2 + 8)]
    public async Task Only_floating_tensors_are_converted(string dtype, long bytes)
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("load", file, "--dtype", dtype, "--exclude", "half.*", "--json");
        Assert.Equal(0, run.ExitCode);
        var document = run.Document("ilgpu-loader/load/1");
        Assert.Equal((dtype, 5L, 38L, bytes), (Text(document, "dtype"), Number(document, "tensors"), Number(document, "bytesRead"), Number(document, "bytes")));
    }

    [Fact]
    public async Task The_meta_device_reads_nothing_of_a_file_that_fits_nowhere()
    {
        using var folder = new TemporaryFolder();
        var file = SampleFiles.Enormous(folder);
        var document = (await ToolRun.OfAsync("load", file, "--device", "meta", "--json")).Document("ilgpu-loader/load/1");
        Assert.Equal(("meta", 0L, 1L << 42), (Text(document, "device"), Number(document, "bytesRead"), Number(document, "bytes")));
    }

    [Fact]
    public async Task What_does_not_fit_into_memory_ends_with_7_and_says_what_to_do()
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("load", SampleFiles.Enormous(folder), "--json");
        var error = run.ErrorDocument("DeviceMemory", 7);
        Assert.Contains("--exclude", Text(error, "message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failures_have_their_exit_code_and_document()
    {
        using var folder = new TemporaryFolder();
        (await ToolRun.OfAsync("load", folder["none"], "--json")).ErrorDocument("Unreadable", 3);
        (await ToolRun.OfAsync("load", folder.Write("b.safetensors", SampleFiles.Truncated()), "--json")).ErrorDocument("FileTruncated", 4);
        (await ToolRun.OfAsync("load", folder.Write("m.h5", SampleFiles.Hdf5()), "--json")).ErrorDocument("Unsupported", 5);
    }

    [Fact]
    public async Task Fewer_lanes_than_asked_for_are_said()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("model.safetensors", new SafetensorsBuilder().Add("t", "F32", [100_000], new byte[400_000]).ToBytes());
        var run = await ToolRun.OfAsync("load", file, "--dtype", "bf16", "--lanes", "4", "--memory", "128KiB", "--read", "buffered");
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("warning: --lanes 4: slots for 1 lane fit into 128 KiB (--memory).", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", (await ToolRun.OfAsync("load", file, "--dtype", "bf16", "--lanes", "1", "--memory", "128KiB")).Error, StringComparison.Ordinal);
        Assert.DoesNotContain("warning", (await ToolRun.OfAsync("load", file, "--lanes", "4", "--memory", "64KiB")).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--lanes", "0")]
    [InlineData("--lanes", "100000")]
    [InlineData("--memory", "0")]
    [InlineData("--memory", "1")]
    [InlineData("--memory", "-5")]
    [InlineData("--memory", "lots")]
    [InlineData("--memory", "99999999999999999999999T")]
    [InlineData("--repeat", "-1")]
    [InlineData("--device", "host,host")]
    [InlineData("--device", "host,meta")]
    [InlineData("--device", "")]
    [InlineData("--device", ",")]
    [InlineData("--device", "host,")]
    [InlineData("--device", "cuda:77, ,host")]
    public async Task Options_out_of_range_are_usage_errors(string option, string value)
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        (await ToolRun.OfAsync("load", file, option, value, "--json")).ErrorDocument("Usage", 2);
    }

    [Fact]
    public async Task A_device_without_a_name_is_said_to_have_none()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("load", file, "--device", ",");
        Assert.Equal("error: ',' has a name that is empty; device ids, such as cuda:0,cuda:1, have one comma between them.\n", run.Error);
    }

    [Fact]
    public async Task A_device_that_is_not_there_is_named_with_those_that_are()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("load", file, "--device", "cuda:77");
        Assert.Equal((7, ""), (run.ExitCode, run.Out));
        Assert.Matches("^error: There is no device 'cuda:77'; there are host, .*meta and auto\\.( .*\\.)?\n$", run.Error);
        var ofTwo = await ToolRun.OfAsync("load", file, "--device", "host,cuda:77");
        Assert.Equal((7, run.Error), (ofTwo.ExitCode, ofTwo.Error));
    }

    [Fact]
    public async Task Verbose_shows_the_plan_on_standard_error()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("load", file, "-v");
        Assert.StartsWith($"{file}: 6 tensors to host as stored\n", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("6 tensors to host", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task There_is_no_progress_where_none_is_wanted()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        Assert.Equal("", (await WithProgressAsync("load", file, "--quiet")).Error);
        Assert.Equal("", (await WithProgressAsync("load", file, "--json")).Error);
        Assert.StartsWith($"{file}: 6 tensors", (await WithProgressAsync("load", file)).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_under_a_progress_bar_keeps_its_exit_code()
    {
        using var folder = new TemporaryFolder();
        var run = await WithProgressAsync("load", SampleFiles.Enormous(folder));
        Assert.Equal((7, ""), (run.ExitCode, run.Out));
    }

    private static Task<ToolRun> WithProgressAsync(params string[] args) => ToolRun.OfAsync(showProgress: true, CancellationToken.None, args);

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static long Number(JsonElement element, string name) => element.GetProperty(name).GetInt64();

    [Fact]
    public async Task A_manifest_is_written_and_held_against_a_load()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var manifest = folder["manifest.json"];
        var hashed = await ToolRun.OfAsync("hash", path, "--write", manifest);
        Assert.Equal((0, (await ToolRun.OfAsync("hash", path)).Out), (hashed.ExitCode, hashed.Out));
        var text = await ToolRun.OfAsync("load", path, "--verify", manifest);
        Assert.Equal((0, ""), (text.ExitCode, text.Error));
        Assert.Contains("hashing s", text.Out, StringComparison.Ordinal);
        Assert.Contains($"every tensor is what {manifest} says\n", text.Out, StringComparison.Ordinal);
        var document = (await ToolRun.OfAsync("load", path, "--verify", manifest, "--json")).Document("ilgpu-loader/load/1");
        Assert.Equal(6, document.GetProperty("verifiedTensors").GetInt32());
        Assert.True(document.GetProperty("loads")[0].GetProperty("hashSeconds").GetDouble() >= 0);
    }

    [Fact]
    public async Task What_a_manifest_does_not_describe_ends_with_6()
    {
        using var folder = new TemporaryFolder();
        var bytes = SampleFiles.Mixed();
        var path = folder.Write("mixed.safetensors", bytes);
        Assert.Equal(0, (await ToolRun.OfAsync("hash", path, "--write", folder["manifest.json"])).ExitCode);
        bytes[^1] ^= 1;
        folder.Write("mixed.safetensors", bytes);
        var run = await ToolRun.OfAsync("load", path, "--verify", folder["manifest.json"], "--json");
        var error = run.ErrorDocument("ManifestMismatch", 6);
        Assert.Equal(path, error.GetProperty("file").GetString());
        Assert.Contains("1 tensor differs from the manifest: tensor 'half.bytes'", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_manifest_that_is_none_or_cannot_be_used_is_refused()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("tiny.safetensors", SafetensorsBuilder.Tiny());
        folder.Write("text.json", [0x7b]);
        (await ToolRun.OfAsync("load", path, "--json", "--verify", folder["text.json"])).ErrorDocument("ManifestInvalid", 4);
        (await ToolRun.OfAsync("load", path, "--json", "--verify", folder["none.json"])).ErrorDocument("Unreadable", 3);
        Assert.Equal(0, (await ToolRun.OfAsync("hash", path, "--write", folder["good.json"])).ExitCode);
        (await ToolRun.OfAsync("load", path, "--json", "--verify", folder["good.json"], "--device", "meta")).ErrorDocument("Usage", 2);
        (await ToolRun.OfAsync("hash", path, path, "--json", "--write", folder["two.json"])).ErrorDocument("Usage", 2);
        (await ToolRun.OfAsync("hash", path, "--values", "f32", "--json", "--write", folder["two.json"])).ErrorDocument("Usage", 2);
        Assert.False(File.Exists(folder["two.json"]));
    }
}
