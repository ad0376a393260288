using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A view of a sample's storage.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Strides">Its strides in elements; default for all of the storage, row-major.</param>
/// <param name="Start">Its first element in the storage.</param>
/// <param name="DType">The dtype it sees; null for the sample's.</param>
public sealed record ViewShape(string Name, long[] Shape, ImmutableArray<long> Strides, long Start, DType? DType = null);

/// <summary>
/// One storage of random bytes in a file with others before and behind it, and tensors that see parts of it: what formats with
/// views have.
/// </summary>
public sealed class ViewSample
{
    private const int Before = 37;
    private readonly DType _dtype;
    private readonly byte[] _file;
    private readonly int _length;

    private ViewSample(DType dtype, byte[] storage, int seed)
    {
        (_dtype, _length) = (dtype, storage.Length);
        _file = new byte[Before + storage.Length + 11];
        new Random(seed).NextBytes(_file);
        storage.CopyTo(_file, Before);
    }

    /// <summary>The storage's elements.</summary>
    public long Elements => _length / _dtype.BlockSize;

    /// <summary>The storage's bytes.</summary>
    public ReadOnlySpan<byte> Storage => _file.AsSpan(Before, _length);

    /// <summary>A storage of random bytes; floats are finite.</summary>
    public static ViewSample Make(int seed, DType dtype, params long[] shape)
    {
        var storage = new byte[dtype.ByteCount(new Shape(shape).ElementCount)];
        var random = new Random(seed);
        random.NextBytes(storage);
        if (dtype == DType.F32)
        {
            for (var i = 3; i < storage.Length; i += 4)
            {
                storage[i] = (byte)random.Next(0x3a, 0x44);
            }
        }

        return new ViewSample(dtype, storage, seed);
    }

    /// <summary>These bytes.</summary>
    public static ViewSample Of(DType dtype, byte[] storage) => new(dtype, storage, 1);

    /// <summary>'whole', F32 [2, 3], and 'view', its transposition.</summary>
    public static Checkpoint OpenPair() =>
        Make(8, DType.F32, 2, 3).Open(new ViewShape("whole", [2, 3], default, 0), new ViewShape("view", [3, 2], [1, 3], 0));

    /// <summary>A checkpoint of some views, in this order.</summary>
    public Checkpoint Open(params IEnumerable<ViewShape> views) => Open(null, views);

    /// <summary>A checkpoint of some views, in this order.</summary>
    /// <param name="wrap">The source that is read; null for the bytes themselves.</param>
    /// <param name="views">The views.</param>
    public Checkpoint Open(Func<IByteSource, IByteSource>? wrap, params IEnumerable<ViewShape> views)
    {
        IByteSource source = new MemorySource(_file, "views.bin");
        var file = new CheckpointFile("views.bin", "views.bin", "test", wrap is null ? source : wrap(source));
        return Checkpoint.OfTensors(file, [.. views.Select(view =>
            new TensorInfo(view.Name, view.DType ?? _dtype, new Shape(view.Shape), file, Before, _length) { Strides = view.Strides, StorageOffset = view.Start })]);
    }

    /// <summary>The same as a file of a folder, which can be mapped.</summary>
    public Checkpoint OpenFile(TemporaryFolder folder, params IEnumerable<ViewShape> views) =>
        Open(_ => new LocalFileSource(folder.Write("views.bin", _file)), views);

    /// <summary>The elements of a tensor in row-major order, found one by one.</summary>
    public byte[] Bytes(TensorInfo tensor)
    {
        var (size, shape) = (tensor.DType.BlockSize, tensor.Shape.ToArray());
        if (tensor.Strides.IsDefault)
        {
            return Storage.ToArray();
        }

        var bytes = new List<byte>();
        var index = new long[shape.Length];
        for (var left = shape.Aggregate(1L, (product, one) => product * one); left > 0; left--)
        {
            var element = tensor.StorageOffset + index.Zip(tensor.Strides, (i, stride) => i * stride).Sum();
            bytes.AddRange(Storage.Slice((int)element * size, size));
            for (var d = shape.Length - 1; d >= 0 && ++index[d] == shape[d]; d--)
            {
                index[d] = 0;
            }
        }

        return [.. bytes];
    }
}
