using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Tensors over a mapped file: everything reads them, nothing writes them, and they keep the mapping.</summary>
public sealed class MappedMemoryTests : IDisposable
{
    // Behind a byte, so that no element lies at a multiple of its size.
    private const int Offset = 1;
    private static readonly float[] Values = [.. Enumerable.Range(0, 24).Select(i => i - 7.5f)];

    private static readonly Dictionary<string, Action<Tensor>> Writers = new()
    {
        ["AsSpan"] = tensor => tensor.AsSpan<float>().Clear(),
        ["GetSpan"] = tensor => tensor.GetSpan<byte>(3, 5).Clear(),
        ["GetSpan, empty"] = tensor => tensor.GetSpan<byte>(3, 0).Clear(),
        ["CopyFrom"] = tensor => tensor.CopyFrom(tensor),
        ["CopyFrom, converted"] = tensor =>
        {
            using var source = Tensor.Empty(DType.BF16, tensor.Shape);
            tensor.CopyFrom(source);
        },
        ["CopyFrom, empty"] = tensor =>
        {
            using var empty = tensor.Narrow(0, 0, 0);
            using var source = Tensor.Empty(DType.F32, empty.Shape);
            empty.CopyFrom(source);
        },
        ["Fill"] = tensor => tensor.Fill(1),
        ["Fill, bytes"] = tensor => tensor.Fill([1, 2, 3, 4]),
        ["FillUniform"] = tensor => tensor.FillUniform(1, 0, 1),
        ["SwapBytes"] = tensor => tensor.SwapBytes(),
        ["SwapBytes, of bytes"] = tensor =>
        {
            using var bytes = new Tensor(tensor.Memory, DType.U8, new Shape(4));
            bytes.SwapBytes();
        },
        ["a view's"] = tensor =>
        {
            using var view = tensor.Transpose(0, 1);
            view.Fill(1);
        },
        ["a view's values"] = tensor =>
        {
            using var view = tensor.Transpose(0, 1);
            view.FillUniform(1, 0, 1);
        },
        ["memory AsSpan"] = tensor => ((HostMemory)tensor.Memory).AsSpan(0, 4).Clear(),
        ["memory AsMemory"] = tensor => ((HostMemory)tensor.Memory).AsMemory(0, 4).Span.Clear(),
        ["stream Place"] = tensor => On(tensor, stream => stream.Place(new byte[4], DType.F32, tensor.Memory, 0, DType.F32)),
        ["stream Place, converted"] = tensor => On(tensor, stream => stream.Place(new byte[4], DType.BF16, tensor.Memory, 0, DType.F32)),
        ["stream PlacePart"] = tensor => On(tensor, stream => stream.PlacePart(new byte[18], DType.Q4_0, 1, 2, tensor.Memory, 0, DType.F32)),
        ["stream Copy"] = tensor => On(tensor, stream => stream.Copy(View(tensor), View(tensor))),
        ["stream Fill"] = tensor => On(tensor, stream => stream.Fill(View(tensor), new byte[4])),
        ["stream FillUniform"] = tensor => On(tensor, stream => stream.FillUniform(tensor.Memory, 0, DType.F32, 0, 4, 1, 0, 1)),
        ["stream SwapBytes"] = tensor => On(tensor, stream => stream.SwapBytes(tensor.Memory, 0, 4, 4)),
    };

    private readonly TemporaryFolder _folder = new();
    private readonly HostDevice _device = new();

    public static TheoryData<string> WriterNames => [.. Writers.Keys];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(WriterNames))]
    public async Task Whatever_would_write_is_refused_and_says_what_to_do(string writer)
    {
        await using var source = Open();
        using (var tensor = Map(source))
        {
            var error = Assert.Throws<InvalidOperationException>(() => Writers[writer](tensor));
            Assert.Contains(source.Name, error.Message, StringComparison.Ordinal);
            Assert.Contains("write into a copy", error.Message, StringComparison.Ordinal);
            Assert.Equal(Values, tensor.AsReadOnlySpan<float>().ToArray());
            Assert.Equal((1, 0L), (_device.LiveAllocations, _device.LiveBytes));
        }

        Assert.Equal((0, 0L, 0), (_device.LiveAllocations, _device.LiveBytes, source.LiveMappings));
    }

    [Fact]
    public async Task Every_copy_can_be_written()
    {
        await using var source = Open();
        using var tensor = Map(source);
        Assert.Equal((true, true), (tensor.IsReadOnly, tensor.Memory.IsReadOnly));
        Tensor[] copies = [tensor.To(DType.F32), tensor.To(_device), tensor.Offload(), tensor.Decode(DType.F32, 0, 0, 4)];
        foreach (var copy in copies)
        {
            using (copy)
            {
                Assert.False(copy.IsReadOnly);
                Assert.Equal(Values, copy.AsSpan<float>().ToArray());
                copy.Fill(1);
            }
        }

        Assert.Equal(Values, tensor.AsReadOnlySpan<float>().ToArray());
    }

    [Fact]
    public async Task Views_conversions_and_sums_read_what_the_file_has()
    {
        await using var source = Open();
        using var tensor = Map(source);
        Assert.Equal(Values[5..7], tensor.GetReadOnlySpan<float>(5, 2).ToArray());
        using (var turned = tensor.Transpose(0, 1))
        using (var copy = turned.To(DType.F32))
        {
            Assert.Equal((true, false), (turned.IsReadOnly, copy.IsReadOnly));
            Assert.Equal([.. Enumerable.Range(0, 24).Select(i => Values[(i % 4 * 6) + (i / 4)])], copy.AsSpan<float>().ToArray());
        }

        using (var row = tensor.Select(0, 2))
        using (var part = row.Narrow(0, 1, 3))
        using (var doubles = part.To(DType.F64))
        {
            Assert.True(part.IsReadOnly);
            Assert.Equal([5.5, 6.5, 7.5], doubles.AsSpan<double>().ToArray());
        }

        var chunks = new Moments[1];
        using (var stream = _device.CreateStream())
        {
            stream.Summarise(tensor.Memory, 0, DType.F32, 24, chunks);
        }

        Assert.Equal((24L, -7.5, 15.5), (chunks[0].Count, chunks[0].Minimum, chunks[0].Maximum));
        using var destination = Tensor.Empty(DType.F32, tensor.Shape, _device);
        destination.CopyFrom(tensor);
        Assert.Equal(Values, destination.AsSpan<float>().ToArray());
    }

    [Fact]
    public async Task Views_keep_the_mapping_when_everything_else_is_gone()
    {
        var source = Open();
        var tensor = Map(source);
        var view = tensor.Narrow(0, 1, 2);
        tensor.Dispose();
        await source.DisposeAsync();
        Assert.Equal((1, 1, 0L), (source.LiveMappings, _device.LiveAllocations, _device.LiveBytes));
        Assert.Equal(Values[6..18], view.AsReadOnlySpan<float>().ToArray());
        view.Dispose();
        Assert.Equal((0, 0, 0L), (source.LiveMappings, _device.LiveAllocations, _device.LiveBytes));
        Assert.Throws<ObjectDisposedException>(() => ((HostMemory)view.Memory).AsReadOnlySpan(0, 1).Length);
    }

    [Theory]
    [InlineData(0, 98)]
    [InlineData(98, 0)]
    [InlineData(-1, 4)]
    public async Task A_range_that_is_not_in_the_file_leaves_nothing_behind(long offset, long length)
    {
        await using var source = Open();
        using (var mapping = source.Map())
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => _device.Map(mapping, offset, length));
            Assert.Equal(0, _device.LiveAllocations);
        }

        Assert.Equal(0, source.LiveMappings);
    }

    private static void On(Tensor tensor, Action<DeviceStream> work)
    {
        using var stream = tensor.Device.CreateStream();
        work(stream);
    }

    private static StridedView View(Tensor tensor) => new(tensor.Memory, tensor.DType, tensor.Shape, tensor.Strides, tensor.ByteOffset);

    private LocalFileSource Open() => new(_folder.Write("values", [0, .. MemoryMarshal.AsBytes<float>(Values)]));

    private Tensor Map(LocalFileSource source)
    {
        using var mapping = source.Map();
        using var memory = _device.Map(mapping, Offset, Values.Length * sizeof(float));
        return new Tensor(memory, DType.F32, new Shape(4, 6));
    }
}
