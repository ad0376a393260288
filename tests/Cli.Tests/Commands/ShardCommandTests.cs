using IlgpuLoader.Formats;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary><c>shard</c>, <c>load --sharded</c>, and <c>verify</c> of what they share.</summary>
public sealed class ShardCommandTests : IAsyncLifetime, IDisposable
{
    private static readonly LlamaOptions Llama = new() { Layers = 2, Hidden = 64, Intermediate = 96, Heads = 8, KeyValueHeads = 4, Vocabulary = 101 };

    private readonly TemporaryFolder _folder = new();

    public Task InitializeAsync() => LlamaSynthesizer.WriteAsync(_folder["m"], Llama);

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task All_ranks_are_saved_and_each_loads_its_own()
    {
        var run = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--max-size", "20KB", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/shard/1");
        Assert.Equal((true, 2), (document.GetProperty("complete").GetBoolean(), document.GetProperty("ranks").GetArrayLength()));
        Assert.Equal(["config.json"], document.GetProperty("carriedFiles").EnumerateArray().Select(file => file.GetString()));
        Assert.Equal(["m", "out"], Entries());
        foreach (var rank in (int[])[0, 1])
        {
            var files = document.GetProperty("ranks")[rank].GetProperty("files").EnumerateArray().Select(file => file.GetString()!).ToArray();
            Assert.True(files.Length > 2);
            Assert.Equal(files.Select((_, part) => $"model-rank-{rank}-part-{part}.safetensors"), files);
            // What convert writes of the same rank is the same tensors.
            Assert.Equal(0, (await ToolRun.OfAsync("convert", _folder["m"], _folder[$"rank{rank}.safetensors"], "--model", "--tp", "2", "--rank", $"{rank}")).ExitCode);
            await using var expected = await Checkpoint.OpenAsync(_folder[$"rank{rank}.safetensors"]);
            await using var state = await ShardedState.OpenAsync(_folder["out"], rank);
            Assert.Equal(expected.Tensors.Select(tensor => $"{tensor.Name} {tensor.Shape}").Order(StringComparer.Ordinal), state.Tensors.Select(tensor => $"{tensor.Name} {tensor.Shape}").Order(StringComparer.Ordinal));
            foreach (var tensor in expected.Tensors)
            {
                Assert.Equal(await BytesAsync(tensor), await BytesAsync(state.Checkpoint[tensor.Name]));
            }

            foreach (var more in (string[][])[[], ["--model"], ["--tp", "2"]])
            {
                var load = await ToolRun.OfAsync(["load", _folder["out"], "--sharded", "--rank", $"{rank}", .. more, "--json"]);
                Assert.Equal((0, ""), (load.ExitCode, load.Error));
                var loaded = load.Document("ilgpu-loader/load-sharded/1");
                Assert.Equal(
                    (true, false, 2, expected.Tensors.Length), (loaded.GetProperty("verified").GetBoolean(), loaded.GetProperty("resharded").GetBoolean(), loaded.GetProperty("worldSize").GetInt32(), loaded.GetProperty("tensors").GetInt32()));
            }
        }
    }

    [Fact]
    public async Task One_rank_at_a_time_the_folder_appears_with_the_last()
    {
        var first = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "1");
        Assert.Equal(0, first.ExitCode);
        Assert.EndsWith("appears when rank 0 is saved too, from the same files (names, sizes and times of weights, bytes of configuration and tokenizer) with the same options, or all with one --save-id\n", first.Out, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
        // Of other options it is another save, which waits for its own ranks.
        var other = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0", "--dtype", "f32");
        Assert.EndsWith("appears when rank 1 is saved too, from the same files (names, sizes and times of weights, bytes of configuration and tokenizer) with the same options, or all with one --save-id\n", other.Out, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
        var second = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0");
        Assert.Equal((0, ""), (second.ExitCode, second.Error));
        Assert.Contains("rank 0 of 2: ", second.Out, StringComparison.Ordinal);
        Assert.Equal(["m", "out"], Entries());
        Assert.Equal((0, $"ok {_folder["out"]}\n"), Of(await ToolRun.OfAsync("verify", _folder["out"])));
        // As it is there, it is not replaced unless that is asked for.
        var refused = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2");
        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("--force", refused.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "1", "--force")).ExitCode);
        Assert.Equal(["config.json", "model-rank-0-part-0.safetensors", "rank-0.json"], Directory.EnumerateFiles(_folder["out"]).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        _folder.Write("out/notes.txt", "mine"u8.ToArray());
        Assert.Equal(2, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--force")).ExitCode);
    }

    [Fact]
    public async Task A_save_that_fails_or_is_cancelled_leaves_nothing()
    {
        File.Move(_folder["m/model.safetensors"], _folder["m/model.safetensors.part"]);
        Assert.NotEqual(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2")).ExitCode);
        File.Move(_folder["m/model.safetensors.part"], _folder["m/model.safetensors"]);
        Assert.Equal(["m"], Entries());
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();
        Assert.Equal(130, (await ToolRun.OfAsync(false, stop.Token, "shard", _folder["m"], _folder["out"], "--tp", "2")).ExitCode);
        Assert.Equal(["m"], Entries());
    }

    [Fact]
    public async Task Ranks_of_other_configurations_are_other_saves()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0")).ExitCode);
        var config = await File.ReadAllTextAsync(_folder["m/config.json"]);
        Assert.Contains("\"num_attention_heads\"", config, StringComparison.Ordinal);
        await File.WriteAllTextAsync(_folder["m/config.json"], config.Insert(1, "\"unknown\": 1, "));
        var second = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "1");
        Assert.Contains("appears when rank 0 is saved too", second.Out, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
        // Under one name they meet, and are refused with the file.
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "1", "--save-id", "mine")).ExitCode);
        await File.WriteAllTextAsync(_folder["m/config.json"], config);
        var refused = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0", "--save-id", "mine");
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("'config.json'", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
    }

    [Fact]
    public async Task A_rank_of_a_save_that_is_complete_already_says_so_and_changes_nothing()
    {
        foreach (var rank in (string[])["0", "1"])
        {
            Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", rank)).ExitCode);
        }

        foreach (var more in (string[][])[[], ["--force"]])
        {
            var again = await ToolRun.OfAsync(["shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0", .. more]);
            Assert.Equal((0, ""), (again.ExitCode, again.Error));
            Assert.Contains("is this save already, with all ranks", again.Out, StringComparison.Ordinal);
            Assert.Equal(["m", "out"], Entries());
        }

        var document = (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0", "--json")).Document("ilgpu-loader/shard/1");
        Assert.Equal((true, 0), (document.GetProperty("complete").GetBoolean(), document.GetProperty("ranks").GetArrayLength()));
        // Another save is not that one.
        Assert.Equal(3, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0", "--unprocessed")).ExitCode);
    }

    [Fact]
    public async Task Ranks_that_are_given_one_name_meet_whatever_the_times_of_their_files_are()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "0", "--save-id", "job-7")).ExitCode);
        File.SetLastWriteTimeUtc(_folder["m/model.safetensors"], DateTime.UnixEpoch);
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2", "--rank", "1", "--save-id", "job-7")).ExitCode);
        Assert.Equal("job-7", (await RankManifest.ReadFolderAsync(_folder["out"]))[0].SaveId);
        Assert.Equal((0, $"ok {_folder["out"]}\n"), Of(await ToolRun.OfAsync("verify", _folder["out"])));
    }

    [Fact]
    public async Task A_save_of_all_ranks_that_is_cancelled_in_the_middle_leaves_nothing()
    {
        using var stop = new CancellationTokenSource();
        // Eight ranks: when the first is recorded, most are still to come.
        var run = Task.Run(() => ToolRun.OfAsync(false, stop.Token, "shard", _folder["m"], _folder["out"], "--tp", "8"));
        while (!run.IsCompleted && !Directory.EnumerateDirectories(_folder.Path, ".out.save-*").Any(save => File.Exists(Path.Combine(save, "rank-0.json"))))
        {
            await Task.Yield();
        }

        await stop.CancelAsync();
        Assert.Equal(130, (await run).ExitCode);
        Assert.Equal(["m"], Entries());
    }

    [Fact]
    public async Task Files_that_are_only_named_as_manifests_are_not_replaced()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"])).ExitCode);
        _folder.Write("out/rank-1.json", "notes"u8.ToArray());
        var refused = await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--force");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("'rank-1.json'", refused.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_number_of_ranks_is_refused_with_both_or_split_anew()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2")).ExitCode);
        foreach (var model in (string[][])[[], ["--model"]])
        {
            var refused = await ToolRun.OfAsync(["load", _folder["out"], "--sharded", "--rank", "1", "--tp", "4", .. model]);
            Assert.Equal(5, refused.ExitCode);
            Assert.Contains("saved by 2 ranks and 4 ranks were asked for", refused.Error, StringComparison.Ordinal);
            Assert.Contains("--reshard", refused.Error, StringComparison.Ordinal);
        }

        var missing = await ToolRun.OfAsync("load", _folder["out"], "--sharded", "--rank", "2");
        Assert.Equal(5, missing.ExitCode);
        Assert.Contains("by 2 ranks, 0 to 1, and rank 2 was asked for", missing.Error, StringComparison.Ordinal);
        var resharded = await ToolRun.OfAsync("load", _folder["out"], "--sharded", "--rank", "3", "--tp", "4", "--model", "--reshard", "--json");
        Assert.Equal((0, ""), (resharded.ExitCode, resharded.Error));
        var document = resharded.Document("ilgpu-loader/load-sharded/1");
        Assert.Equal((true, 4, 2), (document.GetProperty("resharded").GetBoolean(), document.GetProperty("worldSize").GetInt32(), document.GetProperty("savedWorldSize").GetInt32()));
        var text = await ToolRun.OfAsync("load", _folder["out"], "--sharded", "--tp", "1", "--model", "--reshard");
        Assert.Contains("split anew from 2 ranks, verified", text.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_manifests_the_ranks_are_counted_by_their_files()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2")).ExitCode);
        File.Delete(_folder["out/rank-0.json"]);
        File.Delete(_folder["out/rank-1.json"]);
        var resharded = await ToolRun.OfAsync("load", _folder["out"], "--sharded", "--rank", "3", "--tp", "4", "--model", "--reshard");
        Assert.Equal(0, resharded.ExitCode);
        Assert.Contains("rank 3 of 4: ", resharded.Out, StringComparison.Ordinal);
        Assert.Contains("split anew from 2 ranks, not verified", resharded.Out, StringComparison.Ordinal);
        var loaded = await ToolRun.OfAsync("load", _folder["out"], "--sharded", "--rank", "1", "--model");
        Assert.Equal(0, loaded.ExitCode);
        Assert.Contains("rank 1 of 2: ", loaded.Out, StringComparison.Ordinal);
        var refused = await ToolRun.OfAsync("load", _folder["out"], "--sharded", "--tp", "1", "--model");
        Assert.Equal(5, refused.ExitCode);
        Assert.Contains("files of 2 ranks and is loaded by 1 rank", refused.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--reshard", "--sharded")]
    [InlineData("--no-verify", "--sharded")]
    [InlineData("--pattern a{rank}-{part}", "--sharded")]
    [InlineData("--sharded --reshard", "--model")]
    [InlineData("--sharded --dtype f32", "--model")]
    [InlineData("--sharded --include a*", "--include")]
    [InlineData("--sharded --repeat 2", "--repeat")]
    [InlineData("--sharded --pattern nonsense", "pattern")]
    public async Task Options_that_do_not_go_together_are_refused(string options, string named)
    {
        var run = await ToolRun.OfAsync(["load", _folder["m"], .. options.Split(' ')]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(named, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_changed_byte_is_found_by_verify_and_by_the_load_and_no_manifest_is_a_warning()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"])).ExitCode);
        var file = _folder["out/model-rank-0-part-0.safetensors"];
        var bytes = await File.ReadAllBytesAsync(file);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(file, bytes);
        var verified = await ToolRun.OfAsync("verify", _folder["out"]);
        Assert.Equal(6, verified.ExitCode);
        Assert.Contains("model-rank-0-part-0.safetensors", verified.Out, StringComparison.Ordinal);
        var loaded = await ToolRun.OfAsync("load", _folder["out"], "--sharded");
        Assert.Equal(6, loaded.ExitCode);
        foreach (var more in (string[][])[[], ["--model"]])
        {
            var unverified = await ToolRun.OfAsync(["load", _folder["out"], "--sharded", "--no-verify", .. more]);
            Assert.Equal((0, ""), (unverified.ExitCode, unverified.Error));
            Assert.Contains(", not verified\n", unverified.Out, StringComparison.Ordinal);
        }

        File.Delete(_folder["out/rank-0.json"]);
        loaded = await ToolRun.OfAsync("load", _folder["out"], "--sharded");
        Assert.Equal(0, loaded.ExitCode);
        Assert.Contains("not verified", loaded.Error, StringComparison.Ordinal);
        Assert.Contains(", not verified\n", loaded.Out, StringComparison.Ordinal);
        var none = await ToolRun.OfAsync("load", _folder["m"], "--sharded", "--rank", "1");
        Assert.Equal(4, none.ExitCode);
        Assert.Contains("model-rank-1-part-*.safetensors", none.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--max-size", "0")]
    [InlineData("--max-size", "much")]
    [InlineData("--pattern", "model-{part}.safetensors")]
    [InlineData("--pattern", "config-{rank}-{part}.json")]
    [InlineData("--save-id", "without-rank")]
    [InlineData("--rank", "0 --save-id .hidden")]
    public async Task Values_that_cannot_be_are_refused(string option, string value) =>
        Assert.Equal(2, (await ToolRun.OfAsync(["shard", _folder["m"], _folder["out"], option, .. value.Split(' ')])).ExitCode);

    private static (int, string) Of(ToolRun run) => (run.ExitCode, run.Out);

    private static async Task<byte[]> BytesAsync(TensorInfo tensor)
    {
        var bytes = new byte[tensor.DataByteLength];
        await tensor.File.Source.ReadExactlyAsync(tensor.DataOffset, bytes, default);
        return bytes;
    }

    private IEnumerable<string> Entries() =>
        Directory.EnumerateFileSystemEntries(_folder.Path).Select(path => Path.GetFileName(path)).Where(name => !name.StartsWith("rank", StringComparison.Ordinal)).Order(StringComparer.Ordinal);
}
