using System.Collections.Immutable;
using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// What the header of one GGUF file says beyond its tensors: <see cref="CheckpointFile.Header"/> of such a file. Immutable
/// and safe for any thread.
/// </summary>
public sealed class GgufHeader
{
    internal GgufHeader(int version, bool isBigEndian, int alignment, long dataOffset, OrderedDictionary<string, object> metadata)
    {
        Version = version;
        IsBigEndian = isBigEndian;
        Alignment = alignment;
        DataOffset = dataOffset;
        Metadata = new ReadOnlyDictionary<string, object>(metadata);
        Keys = [.. metadata.Keys];
    }

    /// <summary>The version of the format, 1 to 3.</summary>
    public int Version { get; }

    /// <summary>
    /// Whether the file stores numbers with their highest byte first. Nothing else shows it: metadata and the bytes of
    /// tensors, as <see cref="CheckpointFile.Source"/> gives them, are little-endian in any case.
    /// </summary>
    public bool IsBigEndian { get; }

    /// <summary>What tensors are aligned to, in bytes; a power of two.</summary>
    public int Alignment { get; }

    /// <summary>Where the data of tensors begins, in bytes from the start of the file.</summary>
    public long DataOffset { get; }

    /// <summary>
    /// The file's metadata. Scalars are boxed in their own CLR type (<see cref="GgufValueType"/> says which), arrays are
    /// <see cref="GgufArray"/>.
    /// </summary>
    public IReadOnlyDictionary<string, object> Metadata { get; }

    /// <summary>The keys of the metadata in the order of the file.</summary>
    public ImmutableArray<string> Keys { get; }

    /// <summary>The model's architecture, such as <c>llama</c>; null where the file does not say.</summary>
    public string? Architecture => Metadata.GetValueOrDefault(GgufConstants.ArchitectureKey) as string;

    /// <summary>How many parts the model was split into; null where it was not.</summary>
    public long? SplitCount => TryGetInteger(GgufConstants.SplitCountKey, out var count) ? count : null;

    /// <summary>Which part of a split model this is, from 0; null where it is none.</summary>
    public long? SplitNumber => TryGetInteger(GgufConstants.SplitNumberKey, out var number) ? number : null;

    /// <summary>Finds an integer of any of the eight types.</summary>
    /// <returns>Whether the key is there, holds an integer, and it fits a <see cref="long"/>.</returns>
    public bool TryGetInteger(string key, out long value)
    {
        (var found, value) = Metadata.GetValueOrDefault(key) switch
        {
            byte number => (true, number),
            sbyte number => (true, number),
            ushort number => (true, number),
            short number => (true, number),
            uint number => (true, number),
            int number => (true, number),
            long number => (true, number),
            ulong number and <= long.MaxValue => (true, (long)number),
            _ => (false, 0L),
        };
        return found;
    }

    /// <summary>Finds a value of exactly this CLR type.</summary>
    /// <typeparam name="T">A CLR type of a <see cref="GgufValueType"/>.</typeparam>
    /// <returns>Whether the key is there and holds a value of this type; a value of another type is not converted.</returns>
    public bool TryGet<T>(string key, [NotNullWhen(true)] out T? value)
    {
        if (Metadata.GetValueOrDefault(key) is T found)
        {
            value = found;
            return true;
        }

        value = default;
        return false;
    }
}
