using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GgufWeightsRefusalTests
{
    private static readonly string[] Matrices = ["up", "down", "gate"];

    [Fact]
    public async Task Another_format_is_refused()
    {
        await using var checkpoint = await GgufSample.OpenAsync(new MemorySource(SafetensorsBuilder.Tiny()));
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => new GgufWeights(checkpoint, new GgufNameMap([new("a", "b")])));
        Assert.Contains("safetensors", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tensor_of_an_unknown_type_is_refused()
    {
        var bytes = new GgufBuilder().Tensor("a", 0, [1], new byte[4]).Tensor("new", 77, [1], default).ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(bytes), new CheckpointOptions { ListUnreadableTensors = true });
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => new GgufWeights(checkpoint, new GgufNameMap([new("a", "b")])));
        Assert.Equal("new", exception.Tensor);
        Assert.Contains("77", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Options_that_mean_the_tensors_of_the_file_are_refused()
    {
        await using var checkpoint = await new GgufSample().Add("a", 0, 4).OpenAsync();
        LoadOptions[] loads =
        [
            new() { TensorParallel = new TensorParallel(2, 0) },
            new() { Manifest = new TensorManifest([]) },
        ];
        Assert.All(loads, load => Assert.Throws<ArgumentException>(() => Make(checkpoint, new GgufWeightsOptions { Load = load })));
    }

    [Theory]
    [InlineData(DType.Q4_0)]
    [InlineData(DType.I32)]
    public async Task A_type_that_nothing_is_decoded_to_is_refused(DType dtype)
    {
        await using var checkpoint = await new GgufSample().Add("a", 0, 4).OpenAsync();
        Assert.Contains(
            dtype.Name, Assert.Throws<ArgumentException>(() => Make(checkpoint, new GgufWeightsOptions { DecodedDType = dtype })).Message, StringComparison.Ordinal);
        Assert.Contains(
            dtype.Name,
            Assert.Throws<ArgumentException>(() => Make(checkpoint, new GgufWeightsOptions { Load = new LoadOptions { DType = dtype } })).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Changed_values_of_integers_are_refused_unless_they_are_converted()
    {
        await using var checkpoint = await new GgufSample().Add("a", 26, 4).OpenAsync();
        var map = new GgufNameMap([new("a", "b.weight", WeightTransform.MinusOne)]);
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => new GgufWeights(checkpoint, map));
        Assert.Equal("a", exception.Tensor);
        Assert.Contains("I32", exception.Message, StringComparison.Ordinal);
        var converted = new GgufWeights(
            checkpoint, map, new GgufWeightsOptions { Load = new LoadOptions { DType = DType.F64, ConvertAllTypes = true } });
        Assert.Equal(DType.F64, Assert.Single(await GgufWeightsTests.TakeAllAsync(converted)).DType);
        // What is not chosen is no reason.
        Assert.Empty(new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = new LoadOptions { Exclude = ["b.*"] } }).Types);
    }

    [Theory]
    [InlineData("x.qweight")]
    [InlineData("x.qweight_type")]
    public async Task A_name_that_raw_blocks_get_too_is_refused(string other)
    {
        await using var checkpoint = await new GgufSample().Add("a", 8, 2, 32).Add("b", 0, 4).OpenAsync();
        var map = new GgufNameMap([new("a", "x.weight"), new("b", other)]);
        var exception = Assert.Throws<InvalidCheckpointException>(() => new GgufWeights(checkpoint, map));
        Assert.Equal(CheckpointErrorCode.NameMapInvalid, exception.Code);
        Assert.Contains(other, exception.Message, StringComparison.Ordinal);
        // Decoded, both have names of their own.
        var decoded = new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = new LoadOptions { DType = DType.F32 } });
        Assert.Equal(2, (await GgufWeightsTests.TakeAllAsync(decoded)).Count);
    }

    [Fact]
    public async Task A_transform_that_does_not_fit_is_refused_before_anything_is_read()
    {
        await using var checkpoint = await new GgufSample().Add("a", 0, 5).OpenAsync();
        var map = new GgufNameMap([new("a", "b", WeightTransform.Transpose)]);
        Assert.Equal(CheckpointErrorCode.NameMapInvalid, Assert.Throws<InvalidCheckpointException>(() => new GgufWeights(checkpoint, map)).Code);
    }

    [Fact]
    public async Task More_parts_than_the_map_allows_are_refused()
    {
        var sample = new GgufSample();
        sample.Builder
            .Add("general.architecture", "llama").Add("llama.block_count", 11u)
            .Add("llama.attention.head_count", 1u).Add("llama.expert_count", 4096u);
        foreach (var name in Enumerable.Range(0, 33).Select(i => $"blk.{i / 3}.ffn_{Matrices[i % 3]}_exps.weight"))
        {
            sample.Builder.Tensor(name, 24, [1, 4096], new byte[4096]);
        }

        await using var checkpoint = await sample.OpenAsync();
        var exception = Assert.Throws<CheckpointLimitException>(() => new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint)));
        Assert.Equal((33 * 4096, 131_072, "sample.gguf"), (exception.Actual, exception.Maximum, exception.File));
        var map = GgufNameMap.ForArchitecture("llama", checkpoint.Metadata, new GgufNameMapOptions { MaximumParts = 33 * 4096 });
        Assert.Equal(33 * 4096, new GgufWeights(checkpoint, map).Types.Count);
    }

    [Fact]
    public async Task Making_is_cancelled()
    {
        await using var checkpoint = await new GgufSample().Add("a", 0, 4).OpenAsync();
        Assert.Throws<OperationCanceledException>(
            () => new GgufWeights(checkpoint, new GgufNameMap([new("a", "b")]), cancellationToken: new CancellationToken(canceled: true)));
    }

    private static GgufWeights Make(Checkpoint checkpoint, GgufWeightsOptions options) => new(checkpoint, new GgufNameMap([new("a", "b")]), options);
}
