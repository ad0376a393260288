using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GgufWeightsTransformTests
{
    private static readonly DType[] Stored = [.. GgufTypes.All];

    [Fact]
    public async Task Blocks_that_are_transposed_or_changed_come_decoded_and_plain()
    {
        var sample = new GgufSample().Add("matrix", 8, 3, 64).Add("norm", 2, 32).Add("moved", 8, 32).Add("bias", 8, 32).Add("raw", 2, 2, 32);
        var map = new GgufNameMap(
        [
            new("matrix", "matrix.weight", WeightTransform.Transpose),
            new("norm", "norm.weight", WeightTransform.MinusOne),
            new("moved", "moved.weight", WeightTransform.Unpermute(2)),
            new("bias", "raw.bias"),
            new("raw", "raw.weight"),
        ]);
        await using var checkpoint = await sample.OpenAsync();
        var weights = new GgufWeights(checkpoint, map);
        var given = await GgufWeightsTests.TakeAllAsync(weights);
        Assert.Equal("raw.qweight_type", given[0].Name);
        Assert.Equal(
            [("matrix.weight", DType.F32), ("moved.weight", DType.F32), ("norm.weight", DType.F32), ("raw.bias", DType.F32), ("raw.qweight", DType.Q4_0)],
            given.Skip(1).Select(weight => (weight.Name, weight.DType)).OrderBy(weight => weight.Name, StringComparer.Ordinal));
        Assert.Equal([DType.Q8_0, DType.Q4_0, DType.Q8_0, DType.Q8_0, DType.Q4_0], weights.Types.Values);
        var values = given.Skip(1).Where(weight => weight.DType == DType.F32)
            .ToDictionary(weight => weight.Name, weight => MemoryMarshal.Cast<byte, float>(weight.Bytes).ToArray());

        var matrix = sample.Values("matrix");
        Assert.Equal(new Shape(64, 3), given.Single(weight => weight.Name == "matrix.weight").Shape);
        Assert.Equal(Enumerable.Range(0, 64).SelectMany(column => matrix.Select(row => row[column])), values["matrix.weight"]);
        Assert.Equal(Vector("norm").Select(value => value - 1), values["norm.weight"]);
        Assert.Equal(GgufSample.Unpermute(Vector("moved"), 2), values["moved.weight"]);
        Assert.Equal(Vector("bias"), values["raw.bias"]);

        float[] Vector(string name) => sample.VectorValues(name);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(8)]
    public async Task No_rows_have_any_number_of_heads(int type)
    {
        var sample = new GgufSample();
        sample.Builder.Add("general.architecture", "llama").Add("llama.block_count", 1u).Add("llama.attention.head_count", 1UL << 62);
        sample.Builder.Tensor("blk.0.attn_q.weight", type, [32, 0], default);
        await using var checkpoint = await sample.OpenAsync();
        foreach (var load in new[] { LoadOptions.Default, new LoadOptions { DType = DType.F16 } })
        {
            var weights = new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint), new GgufWeightsOptions { Load = load });
            Assert.Equal(new Shape(0, 32), (await GgufWeightsTests.TakeAllAsync(weights))[^1].Shape);
        }
    }

    [Fact]
    public async Task What_must_be_decoded_gets_the_type_that_is_asked_for()
    {
        var sample = new GgufSample().Add("matrix", 8, 3, 64);
        await using var checkpoint = await sample.OpenAsync();
        var map = new GgufNameMap([new("matrix", "matrix.weight", WeightTransform.Transpose)]);
        var given = Assert.Single(
            await GgufWeightsTests.TakeAllAsync(new GgufWeights(checkpoint, map, new GgufWeightsOptions { DecodedDType = DType.F16 })));
        var matrix = sample.Values("matrix");
        Assert.Equal(DType.F16, given.DType);
        Assert.Equal(
            Enumerable.Range(0, 64).SelectMany(column => matrix.Select(row => (Half)row[column])), MemoryMarshal.Cast<byte, Half>(given.Bytes).ToArray());
    }

    // 1 + 2^-8 + 2^-17 is rounded to 1 + 2^-7 in BF16, which less one would be 2^-7; the difference itself is rounded to 2^-8.
    [Fact]
    public async Task What_is_changed_and_converted_is_rounded_once()
    {
        const float value = 1.00390625f + (1f / 131072);
        var builder = new GgufBuilder().Tensor("norm", 0, [2], MemoryMarshal.AsBytes<float>([value, 3]));
        await using var checkpoint = await GgufSample.OpenAsync(new MemorySource(builder.ToBytes()));
        var map = new GgufNameMap([new("norm", "norm.weight", WeightTransform.MinusOne)]);
        var given = Assert.Single(await GgufWeightsTests.TakeAllAsync(
            new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = new LoadOptions { DType = DType.BF16 } })));
        Assert.Equal([0x3B80, 0x4000], MemoryMarshal.Cast<byte, ushort>(given.Bytes).ToArray());
    }

    [Fact]
    public async Task One_tensor_gives_each_of_its_rows_to_another_weight()
    {
        var sample = new GgufSample().Add("qkv", 8, 8, 32);
        await using var checkpoint = await sample.OpenAsync();
        var map = new GgufNameMap(
        [
            new(
                "qkv",
                new NameMapTarget("q.weight", WeightTransform.Rows(0, 4)),
                new NameMapTarget("k.weight", WeightTransform.Rows(4, 2)),
                new NameMapTarget("v.bias", WeightTransform.Rows(6, 2))),
        ]);
        var given = await GgufWeightsTests.TakeAllAsync(new GgufWeights(checkpoint, map));
        // The third cannot be renamed, and is decoded by itself.
        Assert.Equal(["q.qweight_type", "k.qweight_type", "q.qweight", "k.qweight", "v.bias"], given.Select(weight => weight.Name));
        Assert.Equal(sample.Rows("qkv")[..4].SelectMany(row => row), given[2].Bytes);
        Assert.Equal(sample.Rows("qkv")[4..6].SelectMany(row => row), given[3].Bytes);
        Assert.Equal(sample.Values("qkv")[6..].SelectMany(row => row), MemoryMarshal.Cast<byte, float>(given[4].Bytes).ToArray());
    }

    [Fact]
    public void What_is_given_raw_and_then_decoded_is_what_is_decoded_at_once()
    {
        var cases =
            from stored in Gen.Elements(Stored)
            from target in Gen.Elements(Codecs.Targets.AsEnumerable())
            from kind in Gen.Choose(0, 4)
            from heads in Gen.Choose(1, 3)
            from half in Gen.Choose(1, 3)
            from blocks in Gen.Choose(1, 2)
            from seed in Gen.Choose(0, 1000)
            select (stored, target, kind, heads, half, blocks, seed);
        Prop.ForAll(cases.ToArbitrary(), one =>
        {
            var shape = new Shape(one.heads * 2 * one.half, (long)one.blocks * one.stored.BlockLength);
            NameMapTarget[] targets = one.kind switch
            {
                0 => [new("a.weight", WeightTransform.None)],
                1 => [new("a.weight", WeightTransform.Unpermute(one.heads))],
                2 => [new("a.weight", WeightTransform.Rows(one.half, 1)), new("b.weight", WeightTransform.Rows(0, 1))],
                3 => [new("a.bias", WeightTransform.None)],
                _ => [.. Enumerable.Range(0, (int)shape[0]).Select(i => new NameMapTarget($"{i}.weight", WeightTransform.Expert(i, shape[0])))],
            };
            CheckAsync(one.stored, shape, targets, one.target, one.seed).GetAwaiter().GetResult();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    private static async Task CheckAsync(DType stored, Shape shape, NameMapTarget[] targets, DType target, int seed)
    {
        var bytes = new byte[stored.ByteCount(shape.ElementCount)];
        new Random(seed).NextBytes(bytes);
        Assert.True(GgufTypes.TryGetId(stored, out var id));
        var builder = new GgufBuilder().Tensor("t", id, [(ulong)shape[1], (ulong)shape[0]], bytes);
        await using var checkpoint = await GgufSample.OpenAsync(new MemorySource(builder.ToBytes()));
        var map = new GgufNameMap([new("t", targets)]);
        var device = new HostDevice();
        var load = new LoadOptions { Device = device };
        var decoded = (await GgufWeightsTests.TakeAllAsync(new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = load with { DType = target } })))
            .ToDictionary(weight => weight.Name);
        Assert.Equal(targets.Select(one => one.Name).Order(), decoded.Keys.Order());
        // A name that cannot be renamed is decoded either way, then to the same type.
        var raw = new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = load, DecodedDType = target });
        var count = 0;
        await foreach (var (name, tensor) in raw.ReadAsync())
        {
            using (tensor)
            {
                if (name.EndsWith("_type", StringComparison.Ordinal))
                {
                    Assert.True(stored.IsBlock);
                    continue;
                }

                count++;
                using var values = tensor.To(stored.HoldsFloats ? target : stored);
                var expected = decoded[name.Replace("qweight", "weight", StringComparison.Ordinal)];
                Assert.Equal((expected.DType, expected.Shape), (values.DType, values.Shape));
                Assert.Equal(expected.Bytes, values.AsSpan<byte>().ToArray());
            }
        }

        Assert.Equal((targets.Length, 0L), (count, device.LiveAllocations));
    }
}
