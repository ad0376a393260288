using IlgpuLoader.Formats.Pickle;

namespace IlgpuLoader.Formats.Torch;

/// <summary>
/// What a pickle says of a storage that is kept beside it: <c>('storage', class, key, location, numel)</c>, and in streams
/// before 1.6 a sixth item for a storage that is part of another: <c>(key, offset, numel)</c>.
/// </summary>
/// <param name="Key">The key of the storage in the file.</param>
/// <param name="DType">The type of its elements; null where it is only bytes.</param>
/// <param name="ByteLength">Its size in bytes.</param>
/// <param name="Location">The device that it was on when it was saved, such as <c>cpu</c> or <c>cuda:0</c>; null where the pickle has no text there.</param>
/// <param name="ViewOffset">Where a part of it begins that stands for it, in elements; 0 where all of it is meant.</param>
/// <param name="ViewLength">How many elements are meant; null where all are.</param>
internal readonly record struct TorchStorageId(string Key, TorchDType? DType, long ByteLength, string? Location, long ViewOffset, long? ViewLength)
{
    /// <summary>Reads one.</summary>
    /// <param name="reference">What the pickle has.</param>
    /// <param name="file">The file, for messages.</param>
    /// <param name="tensor">The tensor, for messages.</param>
    /// <exception cref="InvalidCheckpointException">It names no storage that can be.</exception>
    public static TorchStorageId Parse(PickleStorageReference reference, CheckpointFile file, string? tensor)
    {
        var items = reference.Id.Items;
        if (items is not ["storage", _, _, _, _] and not ["storage", _, _, _, _, _])
        {
            throw Invalid(
                items is [string kind, ..]
                    ? $"the pickle names something kept beside it as {Quoted.Name(kind)} with {items.Length} items; expected 'storage' with 5 or 6"
                    : "the pickle names something kept beside it that is no storage");
        }

        if (items[2] is not string key)
        {
            throw Invalid("the key of a storage is no text");
        }

        var type = items[1] switch
        {
            PickleGlobal global when TorchGlobals.RoleOf(global) == TorchRole.Storage => global.Name,
            string name => name,
            PickleGlobal other => throw Invalid($"storage {Quoted.Name(key)} is of class {Quoted.Name(other.FullName)}, which is no class of storages"),
            _ => throw Invalid($"storage {Quoted.Name(key)} has no class"),
        };
        if (!TorchDType.ByStorage.TryGetValue(type, out var dtype))
        {
            throw Invalid($"storage {Quoted.Name(key)} is of class {Quoted.Name(type)}, whose elements are not known");
        }

        var count = Number(items[4], "the number of elements");
        long byteLength;
        try
        {
            byteLength = checked(count * (dtype?.Size ?? 1));
        }
        catch (OverflowException)
        {
            throw Invalid($"storage {Quoted.Name(key)} has {count} elements of {type}, more bytes than 64 bits count", CheckpointErrorCode.SizeOverflow);
        }

        return items.Length < 6 || items[5] is PickleNone
            ? new(key, dtype, byteLength, items[3] as string, 0, null)
            : WithView(items[5]);

        TorchStorageId WithView(object view)
        {
            if (view is not PickleTuple { Items: [_, var first, var length] })
            {
                throw Invalid($"storage {Quoted.Name(key)} is part of another in a way that is not known");
            }

            var (offset, viewed) = (Number(first, "where it begins in the other"), Number(length, "its part of the other"));
            return offset <= count - viewed
                ? new(key, dtype, byteLength, items[3] as string, offset, viewed)
                : throw Invalid($"{viewed} elements from {offset} are no part of storage {Quoted.Name(key)}, which has {count}");
        }

        long Number(object value, string what) => value switch
        {
            long number and >= 0 => number,
            long negative => throw Invalid($"of storage {Quoted.Name(key)}, {what} is {negative}"),
            System.Numerics.BigInteger => throw Invalid($"of storage {Quoted.Name(key)}, {what} does not fit 64 bits", CheckpointErrorCode.SizeOverflow),
            _ => throw Invalid($"of storage {Quoted.Name(key)}, {what} is no integer"),
        };

        InvalidCheckpointException Invalid(string problem, CheckpointErrorCode code = CheckpointErrorCode.StorageInvalid) =>
            new(code, file.Path, $"{problem}; the file is broken or made to look like a checkpoint.", TorchConstants.Format, tensor: tensor);
    }
}
