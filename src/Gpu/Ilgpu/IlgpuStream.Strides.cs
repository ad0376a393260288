using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Copies with strides, conversions between them, and what goes to or comes from elsewhere.</content>
/// <remarks>
/// What cannot be done by one kernel is done in parts: packed where it lies, brought over in one transfer, decoded side by side, and
/// spread where it goes. A side that is contiguous is its own packing.
/// </remarks>
internal sealed partial class IlgpuStream
{
    // Four elements of F64. What begins elsewhere is decoded beside its place first, in parts, or that would take as much memory again.
    private const int WidestStore = 32;

    private long PartElements => _device.PartElements;

    private IlgpuMemory? _gathered;
    private IlgpuMemory? _converted;
    private HostMemory? _onHost;

    private void CopyOrConvert(in StridedView source, in StridedView destination)
    {
        TensorLayout.CheckWithin(source);
        TensorLayout.CheckWithin(destination);
        var (from, to) = Conform(source, destination);
        var converts = from.DType != to.DType;
        if (converts)
        {
            StridedChecks.CheckConversion(from, to);
        }

        switch (IsHere(from.Memory), IsHere(to.Memory))
        {
            case (true, true) when !converts:
                CopyWords(from, to);
                break;
            case (true, true) when from.IsContiguous && to.IsContiguous && to.ByteOffset % WidestStore == 0:
                Convert(from, to);
                break;
            case (true, true):
                InParts(from, to, Convert);
                break;
            case (false, true) when from.Memory is HostMemory:
                InParts(from, to, BringHere);
                break;
            case (true, false) when to.Memory is HostMemory:
                InParts(from, to, BringToHost);
                break;
            case (false, true):
                BringFromElsewhere(from, to);
                break;
            default:
                throw new ArgumentException($"Neither {from.Memory.Device} nor {to.Memory.Device} is {_device}.");
        }
    }

    private delegate void PartAction(in StridedView source, in StridedView destination);

    private void InParts(in StridedView source, in StridedView destination, PartAction action)
    {
        foreach (var part in ShapePart.Cut(source.Shape, source.DType.BlockLength, PartElements))
        {
            action(part.Of(source), part.Of(destination));
        }
    }

    // The two with one shape: one element may have other dimensions; rows of F4 and F6 that end inside a byte are contiguous on both
    // sides, and one row.
    private static (StridedView Source, StridedView Destination) Conform(in StridedView source, in StridedView destination)
    {
        var isCut = source.DType.IsSubByte && !source.DType.FillsBytes(source.Shape[^1]);
        if (source.Shape == destination.Shape && !(isCut && source.IsContiguous && destination.IsContiguous))
        {
            return (source, destination);
        }

        var flat = new Shape(source.Shape.ElementCount);
        return (source with { Shape = flat, Strides = [1] }, destination with { Shape = flat, Strides = [1] });
    }

    private bool IsHere(DeviceMemory memory) => memory.Device is IlgpuDevice device && device.Accelerator == _device.Accelerator;

    private static StridedView Packed(DeviceMemory memory, DType dtype, Shape shape) =>
        new(memory, dtype, shape, TensorLayout.RowMajorStrides(dtype, shape), 0);

    private static long BytesOf(DType dtype, Shape shape) => dtype.ByteCount(shape.ElementCount);

    private void CopyWords(in StridedView source, in StridedView destination)
    {
        if (StridedWords.Create(source, destination) is { } words)
        {
            CopyWords(words, Own(source.Memory), Own(destination.Memory));
        }
    }

    private void CopyWords(StridedWords words, IlgpuMemory source, IlgpuMemory destination)
    {
        var kernels = _device.MemoryKernels.Words(words.WordBytes);
        Launch(() =>
        {
            foreach (var (threads, loops) in words.Launches(Threads.MostOfLaunch))
            {
                kernels.Copy(_stream, source.View, destination.View, threads, loops);
            }
        });
    }

    // A part with other strides, another dtype or both, on this device.
    private void Convert(in StridedView source, in StridedView destination)
    {
        var (stored, target, shape) = (source.DType, destination.DType, source.Shape);
        if (stored == target)
        {
            CopyWords(source, destination);
            return;
        }

        var from = source;
        if (!from.IsContiguous)
        {
            from = Packed(Scratch(ref _gathered, BytesOf(stored, shape)), stored, shape);
            CopyWords(source, from);
        }

        var to = destination.IsContiguous ? destination : Packed(Scratch(ref _converted, BytesOf(target, shape)), target, shape);
        Decode(Codecs.Of(stored), target, Own(from.Memory), from.ByteOffset, Own(to.Memory), to.ByteOffset, shape.ElementCount);
        if (!destination.IsContiguous)
        {
            CopyWords(to, destination);
        }
    }

    // A part from the host.
    private void BringHere(in StridedView source, in StridedView destination)
    {
        var (dtype, shape) = (source.DType, source.Shape);
        var here = Packed(Scratch(ref _stored, BytesOf(dtype, shape)), dtype, shape);
        if (source.IsContiguous)
        {
            CopyContiguous(source, here);
            Convert(here, destination);
            return;
        }

        var packed = PackedOnHost(dtype, shape);
        CopyOnHost(source, packed);
        CopyContiguous(packed, here);
        Convert(here, destination);
    }

    // A part to the host, converted before it comes down.
    private void BringToHost(in StridedView source, in StridedView destination)
    {
        var (dtype, shape) = (destination.DType, destination.Shape);
        var here = source;
        if (!source.IsContiguous || source.DType != dtype)
        {
            here = Packed(Scratch(ref _stored, BytesOf(dtype, shape)), dtype, shape);
            Convert(source, here);
        }

        if (destination.IsContiguous)
        {
            CopyContiguous(here, destination);
            return;
        }

        var packed = PackedOnHost(dtype, shape);
        CopyContiguous(here, packed);
        Synchronize();
        CopyOnHost(packed, destination);
    }

    // From another device, by way of the host: ILGPU cannot tell two accelerators' streams to wait for each other.
    private void BringFromElsewhere(in StridedView source, in StridedView destination)
    {
        using var stream = source.Memory.Device.CreateStream();
        foreach (var part in ShapePart.Cut(source.Shape, source.DType.BlockLength, PartElements))
        {
            var packed = PackedOnHost(source.DType, part.Shape);
            stream.Copy(part.Of(source), packed);
            stream.Synchronize();
            BringHere(packed, part.Of(destination));
        }
    }

    // Room on the host for a part; what is still brought up from it is waited for.
    private StridedView PackedOnHost(DType dtype, Shape shape) => Packed(HostScratch(BytesOf(dtype, shape)), dtype, shape);

    private HostMemory HostScratch(long bytes)
    {
        Synchronize();
        if (_onHost is null || _onHost.Length < bytes)
        {
            _onHost?.Dispose();
            _onHost = null;
            _onHost = (HostMemory)HostDevice.Shared.Allocate(bytes);
        }

        return _onHost;
    }

    private static void CopyOnHost(in StridedView source, in StridedView destination)
    {
        using var stream = HostDevice.Shared.CreateStream();
        stream.Copy(source, destination);
    }
}
