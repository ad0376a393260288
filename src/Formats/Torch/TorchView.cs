using System.Numerics;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// The view of a storage that a tensor is: offset, sizes and strides, held against the storage (formats.md 3.3, the checks
/// per tensor). In elements.
/// </summary>
/// <param name="Offset">Where it begins in the storage.</param>
/// <param name="Sizes">The dimensions, which may overflow together.</param>
/// <param name="Strides">One stride a dimension.</param>
internal readonly record struct TorchView(long Offset, long[] Sizes, long[] Strides)
{
    /// <summary>Reads one; nothing in it is negative.</summary>
    /// <param name="offset">The offset, as the pickle has it.</param>
    /// <param name="sizes">The sizes.</param>
    /// <param name="strides">The strides.</param>
    /// <param name="records">For messages.</param>
    /// <param name="path">The tensor, for messages.</param>
    /// <exception cref="InvalidCheckpointException">It is no view.</exception>
    public static TorchView Parse(object offset, object sizes, object strides, TorchRecord records, TorchPath path)
    {
        var view = new TorchView(
            Number(offset, "the storage offset", records, path), Numbers(sizes, "a size", records, path), Numbers(strides, "a stride", records, path));
        return view.Sizes.Length == view.Strides.Length
            ? view
            : throw records.Invalid(path, $"there are {view.Sizes.Length} sizes and {view.Strides.Length} strides", CheckpointErrorCode.StorageInvalid);
    }

    /// <summary>The sizes as a list for the metadata.</summary>
    public static long[] Numbers(object value, string what, TorchRecord records, TorchPath path)
    {
        IReadOnlyList<object> items = value switch
        {
            PickleTuple tuple => tuple.Items,
            PickleList list => list.Items,
            PickleObject { Arguments.Items: [PickleTuple inner] } record when records.RoleOf(record.Global) == TorchRole.Items => inner.Items,
            PickleObject { Arguments.Items: [PickleList inner] } record when records.RoleOf(record.Global) == TorchRole.Items => inner.Items,
            _ => throw records.Invalid(path, "the sizes or strides are no tuple", CheckpointErrorCode.StorageInvalid),
        };
        if (items.Count > TorchConstants.MaximumRank)
        {
            throw records.Invalid(
                path, $"it has {items.Count} dimensions, and tensors have at most {TorchConstants.MaximumRank}", CheckpointErrorCode.StorageInvalid);
        }

        var numbers = new long[items.Count];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = Number(items[i], what, records, path);
        }

        return numbers;
    }

    /// <summary>The tensor that this view of a storage is.</summary>
    /// <param name="dtype">The type of the elements.</param>
    /// <param name="storage">The storage.</param>
    /// <param name="records">For messages.</param>
    /// <param name="path">The tensor.</param>
    /// <exception cref="InvalidCheckpointException">It reaches beyond the storage, or a size of it beyond 64 bits.</exception>
    public TorchFinding Over(TorchDType dtype, TorchStorage storage, TorchRecord records, TorchPath path)
    {
        var held = storage.ByteLength / dtype.Size;
        Shape shape;
        try
        {
            shape = new Shape(Sizes);
            // Strides of zero give a view of any size of a few bytes: its elements side by side must have a size too.
            _ = dtype.Type.ByteCount(shape.ElementCount);
            // A view without elements touches no byte, wherever it begins.
            if (shape.ElementCount > 0 && End() is var end && end > held)
            {
                throw records.Invalid(
                    path,
                    $"its elements reach to number {end} of a storage of {held} (offset {Offset}, shape {shape}, strides [{string.Join(", ", Strides)}])",
                    CheckpointErrorCode.StorageInvalid);
            }
        }
        catch (OverflowException)
        {
            throw records.Invalid(
                path,
                $"its elements do not fit 64 bits (offset {Offset}, sizes [{string.Join(", ", Sizes)}], strides [{string.Join(", ", Strides)}])",
                CheckpointErrorCode.SizeOverflow);
        }

        return new TorchFinding(path, dtype.Type, shape, ImmutableCollectionsMarshal.AsImmutableArray(Strides), Offset, storage) { NumberSize = dtype.NumberSize };
    }

    // The element after the last one, with every step checked: a stride of 2^62 must not wrap round to a small one.
    private long End()
    {
        var end = checked(Offset + 1);
        for (var i = 0; i < Sizes.Length; i++)
        {
            end = checked(end + ((Sizes[i] - 1) * Strides[i]));
        }

        return end;
    }

    private static long Number(object value, string what, TorchRecord records, TorchPath path) => value switch
    {
        long number and >= 0 => number,
        long negative => throw records.Invalid(path, $"{what} is {negative}", CheckpointErrorCode.StorageInvalid),
        BigInteger => throw records.Invalid(path, $"{what} does not fit 64 bits", CheckpointErrorCode.SizeOverflow),
        _ => throw records.Invalid(path, $"{what} is no integer", CheckpointErrorCode.StorageInvalid),
    };
}
