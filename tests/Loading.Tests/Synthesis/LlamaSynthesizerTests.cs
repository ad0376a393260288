using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LlamaSynthesizerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_same_options_give_the_same_bytes_and_another_seed_others()
    {
        var options = new LlamaOptions { Shards = 2, Seed = 5 };
        await LlamaSynthesizer.WriteAsync(_folder["first"], options);
        await LlamaSynthesizer.WriteAsync(_folder["second"], options);
        await LlamaSynthesizer.WriteAsync(_folder["third"], options with { Seed = 6 });
        var names = Files("first");
        Assert.Equal(["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"], names);
        Assert.Equal(names, Files("second"));
        Assert.All(names, name => Assert.Equal(Read("first", name), Read("second", name)));
        Assert.NotEqual(Read("first", names[1]), Read("third", names[1]));
        Assert.Equal(Read("first", "config.json"), Read("third", "config.json"));
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F64)]
    public async Task Each_tensor_is_the_fill_of_its_own_seed(DType dtype)
    {
        // The embedding is larger than one piece of 4 MiB.
        var options = new LlamaOptions { DType = dtype, Layers = 1, Vocabulary = 40_000, Seed = 9 };
        var written = await LlamaSynthesizer.WriteAsync(_folder["model"], options);
        var sample = Sample.Of(Read("model", "model.safetensors"));
        Assert.Equal(written, sample.Tensors.Sum(tensor => (long)tensor.Value.Length));
        foreach (var (name, bytes) in sample.Tensors)
        {
            var expected = new byte[bytes.Length];
            RandomFill.Uniform(expected, dtype, 0, RandomFill.SeedFor(9, name), -1f / 32, 1f / 32);
            Assert.True(expected.AsSpan().SequenceEqual(bytes), name);
        }
    }

    // 32 layers of Llama 2 7B, and 8B of Llama 3, by the numbers that were published with them.
    [Theory]
    [InlineData(32, 4096, 11008, 32, 32, 32000, 6_738_415_616)]
    [InlineData(32, 4096, 14336, 32, 8, 128256, 8_030_261_248)]
    public void The_shapes_add_up_to_the_published_sizes(
        int layers, int hidden, int intermediate, int heads, int keyValueHeads, int vocabulary, long parameters)
    {
        var options = new LlamaOptions
        {
            Layers = layers,
            Hidden = hidden,
            Intermediate = intermediate,
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            Vocabulary = vocabulary,
        };
        Assert.Equal(parameters, LlamaLayout.Tensors(options).Sum(tensor => tensor.Shape.ElementCount));
        Assert.Equal(3 + (9 * layers), LlamaSynthesizer.CountTensors(options));
        Assert.Equal(2 + (9 * layers), LlamaSynthesizer.CountTensors(options with { TieEmbeddings = true }));
    }

    [Fact]
    public void The_feed_forward_width_follows_Llamas_rule()
    {
        Assert.Equal(176, new LlamaOptions { Hidden = 64 }.IntermediateSize);
        Assert.Equal(10928, new LlamaOptions { Hidden = 4096 }.IntermediateSize);
        Assert.Equal(7, new LlamaOptions { Intermediate = 7 }.IntermediateSize);
        // Neither wraps round nor becomes negative.
        Assert.Equal(int.MaxValue, new LlamaOptions { Hidden = int.MaxValue }.IntermediateSize);
    }

    [Fact]
    public void Shards_have_every_tensor_once_none_is_empty_and_none_much_too_large()
    {
        var options = new LlamaOptions { Layers = 6, Vocabulary = 300 };
        var all = LlamaLayout.Tensors(options).ToArray();
        var total = all.Sum(tensor => tensor.Shape.ElementCount);
        for (var count = 1; count <= all.Length; count++)
        {
            var shards = LlamaLayout.Shards(options with { Shards = count });
            Assert.Equal(count, shards.Count);
            Assert.Equal(all, shards.SelectMany(shard => shard));
            Assert.All(shards, shard =>
            {
                Assert.NotEmpty(shard);
                Assert.InRange(
                    shard.Sum(tensor => tensor.Shape.ElementCount), 1, (total / count) + all.Max(tensor => tensor.Shape.ElementCount));
            });
        }
    }

    [Fact]
    public async Task Index_and_config_describe_what_was_written_and_the_folder_opens()
    {
        var options = new LlamaOptions { Shards = 3, Layers = 3, DType = DType.F16, TieEmbeddings = true };
        var total = await LlamaSynthesizer.WriteAsync(_folder["model"], options);
        using var index = JsonDocument.Parse(Read("model", "model.safetensors.index.json"));
        Assert.Equal(total, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        var map = index.RootElement.GetProperty("weight_map").EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.GetString());
        var inFiles = Files("model").Where(name => name.EndsWith(".safetensors", StringComparison.Ordinal))
            .SelectMany(name => Sample.Of(Read("model", name)).Tensors.Keys.Select(tensor => (tensor, name)))
            .ToDictionary(pair => pair.tensor, pair => (string?)pair.name);
        Assert.Equal(inFiles.OrderBy(pair => pair.Key, StringComparer.Ordinal), map.OrderBy(pair => pair.Key, StringComparer.Ordinal));
        Assert.DoesNotContain("lm_head.weight", map.Keys);

        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model"]);
        Assert.Empty(checkpoint.Warnings);
        Assert.Equal(total, checkpoint.TensorBytes);
        var config = checkpoint.Config!;
        Assert.Equal(["LlamaForCausalLM"], config.Architectures.AsEnumerable());
        Assert.Equal(
            ("llama", "float16", 3L, 64L, 4L, 2L, 512L),
            (config.ModelType, config.TorchDType, config.LayerCount, config.HiddenSize, config.HeadCount, config.KeyValueHeadCount, config.VocabularySize));
        Assert.True(config.Root.GetProperty("tie_word_embeddings").GetBoolean());
        Assert.Equal(176, config.Root.GetProperty("intermediate_size").GetInt32());
        Assert.Equal("pt", checkpoint.Metadata["format"]);
    }

    [Fact]
    public async Task Cancelling_leaves_nothing_behind()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => LlamaSynthesizer.WriteAsync(_folder["model"], new LlamaOptions(), cancellationToken: new CancellationToken(canceled: true)));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));

        using var cancellation = new CancellationTokenSource();
        var progress = new Cancelling(cancellation, atReport: 25);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => LlamaSynthesizer.WriteAsync(_folder["model"], new LlamaOptions { Shards = 2, Layers = 4 }, false, progress, cancellation.Token));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task A_folder_that_is_there_is_refused_unless_it_may_be_replaced()
    {
        _folder.Write("model/precious.txt", "mine");
        await Assert.ThrowsAsync<IOException>(() => LlamaSynthesizer.WriteAsync(_folder["model"], new LlamaOptions()));
        Assert.Equal(["precious.txt"], Files("model"));

        // A failure keeps what was to be replaced.
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => LlamaSynthesizer.WriteAsync(
            _folder["model"], new LlamaOptions(), overwrite: true, cancellationToken: new CancellationToken(canceled: true)));
        Assert.Equal(["precious.txt"], Files("model"));

        await LlamaSynthesizer.WriteAsync(_folder["model"], new LlamaOptions(), overwrite: true);
        Assert.Equal(["config.json", "model.safetensors"], Files("model"));
        Assert.Equal([_folder["model"]], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Progress_only_grows_and_ends_complete()
    {
        var progress = new RecordedProgress();
        var options = new LlamaOptions { Shards = 2 };
        var total = await LlamaSynthesizer.WriteAsync(_folder["model"], options, progress: progress);
        var tensors = LlamaSynthesizer.CountTensors(options);
        Assert.Equal(new LoadProgress(total, total, tensors, tensors), progress.Reports[^1]);
        Assert.All(progress.Reports.Zip(progress.Reports.Skip(1)), pair => Assert.True(
            pair.Second.BytesRead > pair.First.BytesRead && pair.Second.TensorsLoaded >= pair.First.TensorsLoaded));
    }

    public static TheoryData<LlamaOptions> Refused => new(
        new LlamaOptions { Layers = 0 },
        new LlamaOptions { Layers = -1 },
        new LlamaOptions { Layers = int.MaxValue },
        new LlamaOptions { Heads = 0 },
        new LlamaOptions { Heads = 3 },
        new LlamaOptions { Hidden = 2 },
        new LlamaOptions { Hidden = -64 },
        new LlamaOptions { KeyValueHeads = 0 },
        new LlamaOptions { KeyValueHeads = 3 },
        new LlamaOptions { KeyValueHeads = 8 },
        new LlamaOptions { Vocabulary = 0 },
        new LlamaOptions { Intermediate = 0 },
        new LlamaOptions { Shards = 0 },
        new LlamaOptions { Shards = 22 },
        new LlamaOptions { DType = DType.I32 },
        new LlamaOptions { DType = DType.F8_E4M3 });

    [Theory]
    [MemberData(nameof(Refused), DisableDiscoveryEnumeration = true)]
    public async Task Sizes_that_do_not_fit_are_refused_before_anything_is_written(LlamaOptions options)
    {
        await Assert.ThrowsAsync<ArgumentException>(() => LlamaSynthesizer.WriteAsync(_folder["model"], options));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    private string[] Files(string folder) =>
        [.. Directory.EnumerateFiles(_folder[folder]).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    private byte[] Read(string folder, string name) => File.ReadAllBytes(Path.Combine(_folder[folder], name));

    private sealed class Cancelling(CancellationTokenSource cancellation, int atReport) : IProgress<LoadProgress>
    {
        private int _reports;

        public void Report(LoadProgress value)
        {
            if (++_reports == atReport)
            {
                cancellation.Cancel();
            }
        }
    }
}
