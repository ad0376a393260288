using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class DummyWeightsTests
{
    /// <summary>Each loader, by a name: its parameter's shape on a rank, and the shape of the whole.</summary>
    public static TheoryData<string, int> Loaders
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (var name in new[] { "qkv", "qkv bias", "gate and up", "down", "vocabulary", "row-parallel", "sharded", "w13", "w2", "words", "default" })
            {
                foreach (var world in new[] { 1, 2, 4, 8 })
                {
                    data.Add(name, world);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Loaders))]
    public void A_shard_is_the_slice_of_the_whole(string name, int world)
    {
        var (one, oneShape) = Make(name, new TensorParallel(1, 0));
        for (var rank = 0; rank < world; rank++)
        {
            var (loader, shape) = Make(name, new TensorParallel(world, rank));
            using var parameter = new Parameter(Tensor.Empty(DType.F32, shape), loader);
            Initialize(parameter);
            // Of all ranks the same; of one, but for the padding, the parameter's own.
            var whole = parameter.WholeShape;
            Assert.Equal(name == "vocabulary" ? oneShape.With(0, 13) : oneShape, whole);
            var values = Uniform(whole.ElementCount, DType.F32);
            // The places that the loader takes elements from; where it writes zeros, so do made-up weights.
            var indices = LoaderRun.Load(loader, shape, whole);
            var isPadding = Enumerable.Range(0, indices.Length).Select(i => name == "vocabulary" && (rank * shape[0] * 3) + i >= 13 * 3).ToArray();
            Assert.Equal(indices.Select((index, i) => isPadding[i] ? 0 : values[(int)index]), parameter.Data.AsSpan<float>().ToArray());
        }

        // The whole itself is numbered from its first element to its last.
        using var unsharded = new Parameter(Tensor.Empty(DType.F32, oneShape), one);
        Initialize(unsharded);
        var count = (int)unsharded.WholeShape.ElementCount;
        Assert.Equal(Uniform(count, DType.F32), unsharded.Data.AsSpan<float>()[..count].ToArray());
    }

    // Larger than what is made at once, with gaps and without.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Large_shards_are_made_in_parts(int axis)
    {
        const int Rows = 1500, Columns = 1600;
        var values = MemoryMarshal.Cast<byte, Half>(Bytes(Rows * Columns, DType.F16)).ToArray();
        for (var rank = 0; rank < 2; rank++)
        {
            var device = new HostDevice();
            var shape = axis == 0 ? new Shape(Rows / 2, Columns) : new Shape(Rows, Columns / 2);
            using var parameter = new Parameter(Tensor.Empty(DType.F16, shape, device), WeightLoaders.Sharded(axis, new TensorParallel(2, rank)));
            Initialize(parameter);
            Assert.Equal(1, device.LiveAllocations);
            Half[] expected = axis == 0
                ? values[(rank * Rows / 2 * Columns)..((rank + 1) * Rows / 2 * Columns)]
                : [.. Enumerable.Range(0, Rows).SelectMany(row => values.Skip((row * Columns) + (rank * Columns / 2)).Take(Columns / 2))];
            Assert.True(expected.AsSpan().SequenceEqual(parameter.Data.AsSpan<Half>()));
        }
    }

    [Fact]
    public void A_parameter_in_another_order_has_the_same_values()
    {
        var data = Tensor.Empty(DType.F32, new Shape(3, 5));
        using var parameter = new Parameter(data.Transpose(0, 1), WeightLoaders.Sharded(0, new TensorParallel(2, 1)));
        Initialize(parameter);
        using var packed = parameter.Data.To(DType.F32);
        Assert.Equal(Uniform(30, DType.F32)[15..], packed.AsSpan<float>().ToArray());
        data.Dispose();
    }

    [Fact]
    public void Values_depend_on_seed_and_bounds_and_not_on_the_name()
    {
        float[] Values(DummyWeightsOptions options)
        {
            using var module = new Module();
            var first = module.Register("a", new Parameter(Tensor.Empty(DType.F32, new Shape(100))));
            var second = module.Register("child", new Module()).Register("b", new Parameter(Tensor.Empty(DType.F32, new Shape(100))));
            DummyWeights.Initialize(module, options);
            Assert.Equal(first.Data.AsSpan<float>().ToArray(), second.Data.AsSpan<float>().ToArray());
            return first.Data.AsSpan<float>().ToArray();
        }

        var defaults = Values(new DummyWeightsOptions());
        Assert.Equal(Uniform(100, DType.F32), defaults);
        Assert.All(defaults, value => Assert.InRange(value, -1e-3f, 1e-3f));
        Assert.Equal(100, defaults.Distinct().Count());
        Assert.Contains(defaults, value => value < -5e-4f);
        Assert.Contains(defaults, value => value > 5e-4f);
        Assert.NotEqual(defaults, Values(new DummyWeightsOptions { Seed = 1235 }));
        Assert.All(Values(new DummyWeightsOptions { Low = 2, High = 3 }), value => Assert.InRange(value, 2, 3));
    }

    [Theory]
    [InlineData(DType.F8_E4M3)]
    [InlineData(DType.F8_E5M2)]
    [InlineData(DType.F8_E4M3FNUZ)]
    [InlineData(DType.F8_E5M2FNUZ)]
    public void Types_of_eight_bits_are_made_as_F16_first(DType dtype)
    {
        const int Count = 20_000;
        var options = new DummyWeightsOptions { Low = -1, High = 1 };
        using var parameter = new Parameter(Tensor.Empty(dtype, new Shape(Count)));
        Initialize(parameter, options);
        using var halves = Tensor.FromValues<byte>(DType.F16, new Shape(Count), Bytes(Count, DType.F16, options));
        using var converted = halves.To(dtype);
        Assert.Equal(converted.AsSpan<byte>().ToArray(), parameter.Data.AsSpan<byte>().ToArray());
        // Rounding once would not be the same everywhere.
        Assert.NotEqual(Bytes(Count, dtype, options), parameter.Data.AsSpan<byte>().ToArray());
    }

    [Theory]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F64)]
    public void Other_floating_point_types_are_rounded_once(DType dtype)
    {
        using var parameter = new Parameter(Tensor.Empty(dtype, new Shape(1000)));
        Initialize(parameter);
        Assert.Equal(Bytes(1000, dtype), parameter.Data.AsSpan<byte>().ToArray());
    }

    [Fact]
    public void Integers_truth_values_complex_numbers_and_blocks_stay_as_they_are()
    {
        foreach (var dtype in DType.All.Where(dtype => dtype.Kind != DTypeKind.Float))
        {
            using var parameter = new Parameter(Tensor.Empty(dtype, new Shape(2, dtype.BlockLength)));
            parameter.Data.AsSpan<byte>().Fill(7);
            Initialize(parameter);
            Assert.All(parameter.Data.AsSpan<byte>().ToArray(), value => Assert.Equal(7, value));
        }
    }

    [Fact]
    public void Buffers_are_filled_too()
    {
        using var module = new Module();
        var floats = module.Register("child", new Module()).Register("floats", Tensor.Empty(DType.F32, new Shape(2, 3)));
        var integers = module.Register("integers", Tensor.FromValues<int>(DType.I32, new Shape(2), [5, 6]));
        DummyWeights.Initialize(module);
        Assert.Equal(Uniform(6, DType.F32), floats.AsSpan<float>().ToArray());
        Assert.Equal([5, 6], integers.AsSpan<int>().ToArray());
    }

    [Fact]
    public void What_has_no_storage_is_named_unless_fp8_makes_it_later()
    {
        using var module = new Module();
        var there = module.Register("there", new Parameter(Tensor.Empty(DType.F32, new Shape(2))));
        module.Register("child", new Module()).Register("weight", new Parameter(DType.BF16, new Shape(2)));
        module.Children["child"].Register("buffer", Tensor.Empty(DType.F32, new Shape(1), MetaDevice.Shared));
        foreach (var config in new QuantizationConfig?[] { null, new NamedConfig("gptq"), new NamedConfig("FP8") })
        {
            var message = Assert.Throws<ArgumentException>(() => DummyWeights.Initialize(module, quantization: config)).Message;
            Assert.StartsWith("'child.weight', BF16 [2] on ", message, StringComparison.Ordinal);
            Assert.Contains("has no storage", message, StringComparison.Ordinal);
        }

        there.Data.Fill(7);
        DummyWeights.Initialize(module, quantization: new NamedConfig("fp8"));
        Assert.Equal(Uniform(2, DType.F32), there.Data.AsSpan<float>().ToArray());
    }

    [Theory]
    [InlineData(DType.F4)]
    [InlineData(DType.F6_E2M3)]
    [InlineData(DType.F8_E8M0)]
    public void Types_that_nothing_is_converted_to_are_named(DType dtype)
    {
        using var module = new Module();
        module.Register("scales", new Parameter(Tensor.Empty(dtype, new Shape(4))));
        var message = Assert.Throws<ArgumentException>(() => DummyWeights.Initialize(module)).Message;
        Assert.Contains("'scales'", message, StringComparison.Ordinal);
        Assert.Contains($"nothing is converted to {dtype.Name}", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Functions_behind_a_load_are_not_applied()
    {
        var loader = WeightLoaders.Composed(
            WeightLoaders.Composed(WeightLoaders.Sharded(0, new TensorParallel(2, 1)), _ => throw new InvalidOperationException()),
            _ => throw new InvalidOperationException());
        using var parameter = new Parameter(Tensor.Empty(DType.F32, new Shape(3)), loader);
        Assert.Equal(new Shape(6), parameter.WholeShape);
        Initialize(parameter);
        Assert.Equal(Uniform(6, DType.F32)[3..], parameter.Data.AsSpan<float>().ToArray());
    }

    [Fact]
    public void A_loader_of_a_callers_own_takes_its_share_where_the_whole_is_known()
    {
        WeightLoader loader = (parameter, weight, _) => weight.Narrow(1, (long)parameter.Attributes["start"]!, 2).CopyTo(parameter.Data);
        using var parameter = new Parameter(Tensor.Empty(DType.F32, new Shape(2, 2)), loader);
        parameter.Attributes["start"] = 3L;
        Initialize(parameter);
        Assert.Equal(Uniform(4, DType.F32), parameter.Data.AsSpan<float>().ToArray());
        parameter.WholeShape = new Shape(2, 5);
        Initialize(parameter);
        var whole = Uniform(10, DType.F32);
        Assert.Equal([whole[3], whole[4], whole[8], whole[9]], parameter.Data.AsSpan<float>().ToArray());
    }

    [Fact]
    public void A_loader_that_does_not_say_where_elements_go_is_named()
    {
        using var parameter = new Parameter(Tensor.Empty(DType.F32, new Shape(2)), (parameter, _, _) => parameter.ValuesNeeded()) { WholeShape = new Shape(4) };
        var message = Assert.Throws<InvalidOperationException>(() => Initialize(parameter)).Message;
        Assert.Contains("'p'", message, StringComparison.Ordinal);
        Assert.Contains("asks for values", message, StringComparison.Ordinal);
        parameter.Loader = (_, _, _) => { };
        message = Assert.Throws<InvalidOperationException>(() => Initialize(parameter)).Message;
        Assert.Contains("'p' fills 0 of 2 elements from a weight of shape [4]", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(float.NaN, 1)]
    [InlineData(0, float.PositiveInfinity)]
    [InlineData(float.MinValue, float.MaxValue)]
    public void Bounds_are_finite_and_in_order(float low, float high)
    {
        using var module = new Module();
        Assert.Throws<ArgumentOutOfRangeException>(() => DummyWeights.Initialize(module, new DummyWeightsOptions { Low = low, High = high }));
    }

    [Fact]
    public void Nothing_is_filled_when_it_is_cancelled()
    {
        using var module = new Module();
        var parameter = module.Register("p", new Parameter(Tensor.FromValues<float>(DType.F32, new Shape(1), [7])));
        Assert.Throws<OperationCanceledException>(() => DummyWeights.Initialize(module, cancellationToken: new CancellationToken(true)));
        Assert.Equal(7, parameter.Data.AsSpan<float>()[0]);
    }

    private static void Initialize(Parameter parameter, DummyWeightsOptions? options = null)
    {
        // Not disposed: the parameter is the test's.
        var module = new Module();
        module.Register("p", parameter);
        DummyWeights.Initialize(module, options);
    }

    private static byte[] Bytes(long count, DType dtype, DummyWeightsOptions? options = null)
    {
        options ??= new DummyWeightsOptions();
        var bytes = new byte[dtype.ByteCount(count)];
        RandomFill.Uniform(bytes, dtype, 0, options.Seed, options.Low, options.High);
        return bytes;
    }

    private static float[] Uniform(long count, DType dtype) => MemoryMarshal.Cast<byte, float>(Bytes(count, dtype)).ToArray();

    private static (WeightLoader Loader, Shape Shape) Make(string name, TensorParallel parallel)
    {
        var world = parallel.WorldSize;
        var attention = LinearLayout.ForAttention(3, 8, 2, 2, parallel);
        var gateUp = LinearLayout.ForGateUp(3, 16, parallel, "w1", "w3");
        var down = LinearLayout.ForDown(3, 16, parallel, "w2");
        return name switch
        {
            "qkv" => (WeightLoaders.Linear(attention, ParameterAxes.Weight), new Shape(attention.OutputSizePerRank, 3)),
            "qkv bias" => (WeightLoaders.Linear(attention, ParameterAxes.Bias), new Shape(attention.OutputSizePerRank)),
            "gate and up" => (WeightLoaders.Linear(gateUp, ParameterAxes.Weight), new Shape(32 / world, 3)),
            "down" => (WeightLoaders.Linear(down, ParameterAxes.Weight), new Shape(3, 16 / world)),
            "vocabulary" => (WeightLoaders.PaddedVocabulary(13, parallel), new Shape(16 / world, 3)),
            "row-parallel" => (WeightLoaders.RowParallel(parallel), new Shape(16 / world, 3)),
            "sharded" => (WeightLoaders.Sharded(-1, parallel), new Shape(3, 2, 16 / world)),
            "w13" => (WeightLoaders.Experts(Placement(parallel), LinearLayout.ForGateUp(3, 2, null, "w1", "w3"), ParameterAxes.Weight), new Shape(8 / world, 4, 3)),
            "w2" => (WeightLoaders.Experts(ExpertPlacement.All(2), down, ParameterAxes.Weight), new Shape(2, 3, 16 / world)),
            // Two numbers to a word along the inputs, which come first.
            "words" => (WeightLoaders.Linear(down, new ParameterAxes(1, 0, InputUnit: 2)), new Shape(8 / world, 3)),
            _ => (WeightLoaders.Default, new Shape(5)),
        };
    }

    private static ExpertPlacement Placement(TensorParallel parallel) => ExpertPlacement.RoundRobin(8, parallel.WorldSize, parallel.Rank);

    private sealed class NamedConfig(string name) : QuantizationConfig
    {
        public override string Name => name;

        public override IQuantizeMethod? MethodFor(Module layer, string prefix) => null;
    }
}
