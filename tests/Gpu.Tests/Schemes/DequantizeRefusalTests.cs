using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What is not dequantised, and why; and devices that hold nothing or the same several times.</summary>
[Trait("Area", "Devices")]
public sealed class DequantizeRefusalTests : IDisposable
{
    private readonly Tensor _matrix = Tensor.Empty(DType.F8_E4M3, new Shape(130, 257));
    private readonly Tensor _scales = Tensor.Empty(DType.F32, new Shape(2, 3));
    private readonly Tensor _words = Tensor.Empty(DType.I32, new Shape(4, 16));
    private readonly Tensor _zeros = Tensor.Empty(DType.I32, new Shape(2, 2));
    private readonly Tensor _groupScales = Tensor.Empty(DType.F16, new Shape(2, 16));

    private static BlockScaledScheme Blocks { get; } = new(128, 128);

    private static GptqScheme Gptq { get; } = new(4, 16);

    [Fact]
    public void Shapes_that_do_not_belong_together_are_named()
    {
        using var wrong = Tensor.Empty(DType.F32, new Shape(2, 2));
        Refuses("The scales have shape [2, 2], and [2, 3] belongs to the matrix", () => _matrix.Dequantize(Blocks, new(wrong), DType.F32));
        Refuses("The scales have shape [2, 3], and [130, 1] belongs", () => _matrix.Dequantize(BlockScaledScheme.PerRow, new(_scales), DType.F32));
        using var line = _matrix.View(130 * 257);
        Refuses("is a matrix, and [33410] is none", () => line.Dequantize(Blocks, new(_scales), DType.F32));
        using var smaller = Tensor.Empty(DType.F32, new Shape(130, 256));
        Refuses("not into [130, 256]", () => smaller.DequantizeFrom(_matrix, Blocks, new(_scales)));
        using var turned = _matrix.Transpose(0, 1);
        using var turnedScales = Tensor.Empty(DType.F32, new Shape(3, 2));
        Refuses("rows of the matrix do not lie side by side", () => turned.Dequantize(Blocks, new(turnedScales), DType.F32));
        using var floats = Tensor.Empty(DType.F32, new Shape(257, 130));
        using var turnedFloats = floats.Transpose(0, 1);
        Refuses("into a contiguous matrix", () => turnedFloats.DequantizeFrom(_matrix, Blocks, new(_scales)));
    }

    [Fact]
    public void Dtypes_that_do_not_belong_together_are_named()
    {
        using var wide = Tensor.Empty(DType.F64, new Shape(2, 3));
        using var numbers = Tensor.Empty(DType.I16, new Shape(130, 257));
        using var zeros = Tensor.Empty(DType.I8, new Shape(2, 3));
        Refuses("The scales can be F32, F16, BF16, and not F64", () => _matrix.Dequantize(Blocks, new(wide), DType.F32));
        Refuses("The matrix can be F8_E4M3,", () => numbers.Dequantize(Blocks, new(_scales), DType.F32));
        Refuses("The result can be F32, F16, BF16, F8_E4M3, and not F64", () => _matrix.Dequantize(Blocks, new(_scales), DType.F64));
        Refuses("Only I8 has zero points", () => _matrix.Dequantize(Blocks, new(_scales, zeros), DType.F32));
        using var bytes = Tensor.Empty(DType.I8, new Shape(130, 257));
        Refuses("The zero points can be I8, and not F32", () => bytes.Dequantize(Blocks, new(_scales, _scales), DType.F32));
        Refuses("Blocks have no group indices", () => bytes.Dequantize(Blocks, new(_scales, null, zeros), DType.F32));
        Refuses("The result can be F32, F16, BF16, and not F8_E4M3", () => _words.Dequantize(Gptq, new(_groupScales, _zeros), DType.F8_E4M3));
        Refuses("qweight can be I32, U32, and not F8_E4M3", () => _matrix.Dequantize(Gptq, new(_groupScales, _zeros), DType.F32));
    }

    [Fact]
    public void Companions_of_gptq_belong_to_its_words()
    {
        Refuses("GPTQ has zero points (qzeros)", () => _words.Dequantize(Gptq, new(_groupScales), DType.F32));
        Refuses("The scales have shape [2, 16], and [4, 16] belongs", () => _words.Dequantize(new GptqScheme(4, 8), new(_groupScales, _zeros), DType.F32));
        using var wide = Tensor.Empty(DType.I32, new Shape(2, 4));
        Refuses("qzeros have shape [2, 4], and [2, 2] belongs", () => _words.Dequantize(Gptq, new(_groupScales, wide), DType.F32));
        using var groups = Tensor.FromValues<int>(DType.I32, new Shape(31), new int[31]);
        Refuses("a group for each of 32 inputs side by side, and not shape [31]", () => _words.Dequantize(Gptq, new(_groupScales, _zeros, groups), DType.F32));
    }

    [Fact]
    public void Schemes_have_sizes_that_there_are()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new BlockScaledScheme(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new BlockScaledScheme(1, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GptqScheme(3, 128));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GptqScheme(4, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GptqScheme(4, 128, 2));
    }

    [Fact]
    public void Another_device_or_a_tensor_that_is_gone_is_refused()
    {
        using var elsewhere = Tensor.Empty(DType.F32, new Shape(2, 3), new ProbeDevice("probe:0"));
        Refuses("is on probe:0", () => _matrix.Dequantize(Blocks, new(elsewhere), DType.F32));
        _scales.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _matrix.Dequantize(Blocks, new(_scales), DType.F32));
    }

    [Fact]
    public void On_the_meta_device_shapes_are_checked_and_nothing_is_read()
    {
        using var matrix = Tensor.Empty(DType.F8_E4M3, new Shape(130, 257), MetaDevice.Shared);
        using var scales = Tensor.Empty(DType.F32, new Shape(2, 3), MetaDevice.Shared);
        using var values = matrix.Dequantize(Blocks, new(scales), DType.BF16);
        Assert.Equal((new Shape(130, 257), DType.BF16, DeviceKind.Meta), (values.Shape, values.DType, values.Device.Kind));
        Refuses("belongs to the matrix", () => matrix.Dequantize(BlockScaledScheme.PerRow, new(scales), DType.F32));
    }

    [Fact]
    public void A_group_dequantises_on_every_member()
    {
        var random = new Random(6);
        var payload = SchemeCase.Numbers(random, DType.F8_E4M3, 10 * 12);
        var scales = SchemeCase.Numbers(random, DType.F32, 3 * 3);
        var expected = SchemeCase.Blocks(payload, DType.F8_E4M3, scales, DType.F32, null, 10, 12, 4, 5, DType.F16);
        var group = new DeviceGroup(new HostDevice(), new ProbeDevice("probe:0"), new ProbeDevice("probe:1"));
        using (var onHost = Tensor.FromValues<byte>(DType.F8_E4M3, new Shape(10, 12), payload))
        using (var scaleOnHost = Tensor.FromValues<byte>(DType.F32, new Shape(3, 3), scales))
        using (var matrix = onHost.To(group))
        using (var scale = scaleOnHost.To(group))
        using (var values = matrix.Dequantize(new BlockScaledScheme(4, 5), new(scale), DType.F16))
        {
            foreach (var member in group.Members)
            {
                using var own = values.On(member);
                Assert.Equal(expected, DeviceBytes.Values(own));
            }
        }

        Assert.All(group.Members.Append(group), device => Assert.Equal(0, device.LiveAllocations));
    }

    [Fact]
    public async Task A_result_that_can_only_be_read_is_refused()
    {
        using var folder = new TestKit.TemporaryFolder();
        await using var source = new LocalFileSource(folder.Write("values", new byte[130 * 257 * 4]));
        using var mapping = source.Map();
        using var memory = new HostDevice().Map(mapping, 0, 130 * 257 * 4);
        using var mapped = new Tensor(memory, DType.F32, new Shape(130, 257));
        Assert.Throws<InvalidOperationException>(() => mapped.DequantizeFrom(_matrix, Blocks, new(_scales)));
    }

    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[_matrix, _scales, _words, _zeros, _groupScales])
        {
            tensor.Dispose();
        }
    }

    private static void Refuses(string problem, Action action) => Assert.Contains(problem, Assert.Throws<ArgumentException>(action).Message, StringComparison.Ordinal);
}
