using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Ranks that save the same in the same way have one name for it, and nobody else has that name.</summary>
public sealed class SaveIdentityTests : IDisposable
{
    private static readonly DateTime Written = new(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc);

    private readonly TemporaryFolder _folder = new();

    public SaveIdentityTests() => Write("m");

    public void Dispose() => _folder.Dispose();

    /// <summary>What counts, one change each.</summary>
    public static TheoryData<string> Changes =>
    [
        "ranks", "experts whole", "dtype", "layout", "task", "quantisation", "pattern", "parts", "unprocessed", "root", "load's dtype", "load's integers", "included", "excluded",
        "file's name", "file's size", "file's time", "map", "map's bytes", "configuration's bytes", "another carried file", "nothing carried",
    ];

    [Fact]
    public async Task Of_EachRankOnAnyPathAndDevice_IsTheSame()
    {
        var id = await OfAsync();
        Assert.Matches("^[0-9a-f]{32}$", id);
        Assert.Equal(id, await OfAsync(rank: 1));
        Write("elsewhere/m");
        Assert.Equal(id, await OfAsync(folder: "elsewhere/m"));
        // What the ranks know of their own, and what costs time or memory only.
        Assert.Equal(id, await OfAsync(save: options => options with { Overwrite = true, Parallel = new TensorParallel(2, 1), SaveId = "other" }));
        Assert.Equal(id, await OfAsync(load: options => options with { Device = MetaDevice.Shared, Lanes = 3, StagingBytes = 1 << 20, ReadMode = ReadMode.Direct, ExactSlices = true, SlabBytes = 5 }));
        // What is not carried along is not looked at.
        _folder.Write("m/README.md", "text"u8.ToArray());
        Assert.Equal(id, await OfAsync());
    }

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task Of_WhatIsSavedOtherwise_IsAnother(string change)
    {
        _folder.Write("map.json", """{"prefix": {"a": "b"}}"""u8.ToArray());
        var id = change == "map's bytes" ? await OfAsync(map: "map.json") : await OfAsync();
        var other = change switch
        {
            "ranks" => await OfAsync(world: 4),
            "experts whole" => await OfAsync(context: context => context with { ExpertParallel = true }),
            "dtype" => await OfAsync(context: context => context with { DType = DType.F16 }),
            "layout" => await OfAsync(context: context => context with { Implementation = ModelImplementation.Generic }),
            "task" => await OfAsync(context: context => context with { Task = Enum.GetValues<ModelTask>().First(task => task != context.Task) }),
            "quantisation" => await OfAsync(context: context => context with { QuantizationMethod = "fp8" }),
            "pattern" => await OfAsync(save: options => options with { Pattern = ShardFilePattern.Parse("r{rank}-{part}.safetensors") }),
            "parts" => await OfAsync(save: options => options with { MaximumPartBytes = 100 }),
            "unprocessed" => await OfAsync(save: options => options with { IsProcessed = false }),
            "root" => await OfAsync(root: "a"),
            "load's dtype" => await OfAsync(load: options => options with { DType = DType.BF16 }),
            "load's integers" => await OfAsync(load: options => options with { ConvertAllTypes = true }),
            "included" => await OfAsync(load: options => options with { Include = ["a*"] }),
            "excluded" => await OfAsync(load: options => options with { Exclude = ["a*"] }),
            "file's name" => await Changed(() => File.Move(_folder["m/model.safetensors"], _folder["m/other.safetensors"])),
            "file's size" => await Changed(() => Write("m", length: 3)),
            "file's time" => await Changed(() => File.SetLastWriteTimeUtc(_folder["m/model.safetensors"], Written.AddSeconds(1))),
            "map" => await OfAsync(map: "map.json"),
            "map's bytes" => await Changed(() => _folder.Write("map.json", """{"prefix": {"a": "c"}}"""u8.ToArray()), "map.json"),
            "configuration's bytes" => await Changed(() => _folder.Write("m/config.json", """{"model_type": "y"}"""u8.ToArray())),
            "another carried file" => await Changed(() => _folder.Write("m/tokenizer.json", "{}"u8.ToArray())),
            _ => await OfAsync(save: options => options with { CarriedFrom = null }),
        };
        Assert.NotEqual(id, other);
    }

    [Fact]
    public async Task Of_OnePatternIncludedOrExcluded_IsNotTheSame() =>
        Assert.NotEqual(await OfAsync(load: options => options with { Include = ["a*"] }), await OfAsync(load: options => options with { Exclude = ["a*"] }));

    [Fact]
    public async Task Of_ExpertsThatAreModulesOfEachRank_IsTheSame()
    {
        var config = ModelSample.Config("MixtralForCausalLM", ModelSample.Sizes + ", \"num_local_experts\": 4");
        var ids = new HashSet<string>();
        var names = new HashSet<string>();
        for (var rank = 0; rank < 2; rank++)
        {
            var context = ModelSample.Context(config, 2, rank) with { QuantizationMethod = "gptq" };
            using var model = ModelInitializer.Initialize(context);
            names.Add(string.Join(' ', ModelSample.Describe(model)));
            ids.Add(await OfAsync(rank: rank, context: _ => context));
        }

        Assert.Equal((2, 1), (names.Count, ids.Count));
    }

    [Fact]
    public async Task Of_AMapThatIsNotThere_Throws() =>
        await Assert.ThrowsAsync<FileNotFoundException>(() => OfAsync(map: "none.json"));

    [Fact]
    public async Task Of_ACancelledToken_Throws()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["m/model.safetensors"]);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => SaveIdentity.OfAsync(
            checkpoint, ModelSample.Context(ModelSample.Config("{}")), new() { CarriedFrom = _folder["m"] }, LoadOptions.Default, cancellationToken: new CancellationToken(canceled: true)));
    }

    private async Task<string> Changed(Action change, string? map = null)
    {
        change();
        return await OfAsync(map: map);
    }

    private async Task<string> OfAsync(
        string folder = "m",
        int world = 2,
        int rank = 0,
        string? root = null,
        string? map = null,
        Func<ModelContext, ModelContext>? context = null,
        Func<ShardedStateSaveOptions, ShardedStateSaveOptions>? save = null,
        Func<LoadOptions, LoadOptions>? load = null)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(Directory.EnumerateFiles(_folder[folder], "*.safetensors").Single(), new CheckpointOptions { Root = root });
        var made = ModelSample.Context(ModelSample.Config("""{"model_type": "x"}"""), world, rank);
        var options = new ShardedStateSaveOptions { IsProcessed = true, CarriedFrom = _folder[folder] };
        return await SaveIdentity.OfAsync(
            checkpoint, context?.Invoke(made) ?? made, save?.Invoke(options) ?? options, load?.Invoke(LoadOptions.Default) ?? LoadOptions.Default, map is null ? null : _folder[map]);
    }

    private void Write(string folder, int length = 2)
    {
        _folder.Write($"{folder}/model.safetensors", new SafetensorsBuilder().Add("a.b", "U8", [(ulong)length], new byte[length]).ToBytes());
        _folder.Write($"{folder}/config.json", """{"model_type": "x"}"""u8.ToArray());
        File.SetLastWriteTimeUtc(_folder[$"{folder}/model.safetensors"], Written);
    }
}
