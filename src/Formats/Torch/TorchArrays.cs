using System.Collections.Immutable;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// Arrays of NumPy inside a pickle: their bytes become sections behind the file, and they tensors of them. Not safe for
/// several threads.
/// </summary>
/// <param name="records">The roles of globals.</param>
/// <param name="values">Reads bytes.</param>
/// <param name="findings">Takes the sections.</param>
internal sealed class TorchArrays(TorchRecord records, TorchValues values, TorchFindings findings)
{
    // What remembering a section takes beside what the findings count.
    private const int MemoBytes = 100;

    private readonly Dictionary<PickleObject, TorchStorage> _storages = new(ReferenceEqualityComparer.Instance);

    // Bytes that several arrays have are one section, unless they are turned round in different ways.
    private readonly Dictionary<byte[], List<(int Swapped, TorchStorage Storage)>> _sections = new(ReferenceEqualityComparer.Instance);

    private readonly record struct Parts(object Shape, object TypeRecord, NumpyType Type, bool IsFortran, object Data);

    /// <summary>The tensor that an array is; null where its elements are no numbers, which is then noted.</summary>
    public TorchFinding? Read(PickleObject array, TorchPath path)
    {
        var parts = records.RoleOf(array.Global) == TorchRole.Array ? OfState(array, path) : OfBuffer(array, path);
        values.RefuseObjects(array, parts.TypeRecord, path);
        if (parts.Type.Type is not { } dtype)
        {
            findings.Omit(path, $"arrays of NumPy with elements that are no numbers (such as {Quoted.Name(parts.Type.Text)})");
            return null;
        }

        var dimensions = Dimensions(parts.Shape, path);
        Shape shape;
        long length;
        try
        {
            shape = new Shape(dimensions);
            length = dtype.ByteCount(shape.ElementCount);
        }
        catch (OverflowException)
        {
            throw records.Invalid(path, "an array of NumPy has more elements than 64 bits count", CheckpointErrorCode.SizeOverflow);
        }

        var numberSize = dtype.Kind == DTypeKind.Complex ? dtype.BlockSize / 2 : dtype.BlockSize;
        if (!_storages.TryGetValue(array, out var storage))
        {
            var data = values.Bytes(parts.Data, path) ?? throw records.Invalid(path, "an array of NumPy has no bytes");
            if (data.Length != length)
            {
                throw records.Invalid(
                    path, $"an array of NumPy of shape {shape} and type {Quoted.Name(parts.Type.Text)} needs {length} bytes and has {data.Length}", CheckpointErrorCode.SizeMismatch);
            }

            findings.Charge(MemoBytes);
            _storages.Add(array, storage = Section(data, parts.Type.IsBigEndian, numberSize));
        }

        return new TorchFinding(path, dtype, shape, parts.IsFortran ? ColumnMajor(dimensions) : shape.RowMajorStrides(), 0, storage)
        {
            NumberSize = numberSize,
        };
    }

    private Parts OfState(PickleObject array, TorchPath path)
    {
        // Version 0 of the state had no version.
        var state = array.State is PickleTuple { Items: { } items } ? items.Length == 5 ? items[1..] : items : [];
        return state is [var shape, var type, bool isFortran, var data]
            ? new Parts(shape, type, values.TypeOf(type, path), isFortran, data)
            : throw records.Invalid(path, "an array of NumPy has no shape, dtype, order and bytes");
    }

    private Parts OfBuffer(PickleObject array, TorchPath path)
    {
        var type = records.Argument(array.Global, array.Arguments, 1, path);
        return new Parts(
            records.Argument(array.Global, array.Arguments, 2, path),
            type,
            values.TypeOf(type, path),
            records.Argument(array.Global, array.Arguments, 3, path) is "F",
            records.Argument(array.Global, array.Arguments, 0, path));
    }

    private TorchStorage Section(byte[] data, bool isBigEndian, int numberSize)
    {
        var swapped = isBigEndian ? numberSize : 0;
        if (!_sections.TryGetValue(data, out var storages))
        {
            findings.Charge(MemoBytes);
            _sections.Add(data, storages = []);
        }

        foreach (var known in storages)
        {
            if (known.Swapped == swapped)
            {
                return known.Storage;
            }
        }

        // One for little-endian numbers, and one for every size of others: a few.
        var storage = findings.AddSection(data, isBigEndian);
        storages.Add((swapped, storage));
        return storage;
    }

    private long[] Dimensions(object shape, TorchPath path)
    {
        if (shape is not PickleTuple { Items: { } items } || items.Length > TorchConstants.MaximumRank)
        {
            throw records.Invalid(path, $"an array of NumPy has no shape, or one of more than {TorchConstants.MaximumRank} dimensions");
        }

        var dimensions = new long[items.Length];
        for (var i = 0; i < items.Length; i++)
        {
            dimensions[i] = items[i] is long and >= 0 and var size
                ? (long)size
                : throw records.Invalid(path, "a dimension of an array of NumPy is no size");
        }

        return dimensions;
    }

    private static ImmutableArray<long> ColumnMajor(long[] dimensions)
    {
        var strides = ImmutableArray.CreateBuilder<long>(dimensions.Length);
        long stride = 1;
        foreach (var dimension in dimensions)
        {
            strides.Add(stride);
            // As RowMajorStrides: saturates where there are no elements.
            stride = Math.Max(stride, unchecked(stride * Math.Max(dimension, 1)));
        }

        return strides.MoveToImmutable();
    }
}
