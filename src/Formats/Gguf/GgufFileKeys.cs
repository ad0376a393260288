using System.Collections.Immutable;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// The metadata keys that describe a file and not the model in it: its alignment, the type of its tensors, and which part of a
/// split model it is.
/// Immutable and safe for any thread.
/// </summary>
public static class GgufFileKeys
{
    /// <summary>The most parts of a model: split.count is 16 bits wide.</summary>
    public const int MaximumParts = ushort.MaxValue;

    /// <summary>Whether this key tells where tensors lie in their file: <c>general.alignment</c>.</summary>
    public static bool IsAlignment(string key) => key == GgufConstants.AlignmentKey;

    /// <summary>Whether this key tells which part of a split model a file is.</summary>
    public static bool IsSplit(string key) =>
        key is GgufConstants.SplitNumberKey or GgufConstants.SplitCountKey or GgufConstants.SplitTensorsKey;

    /// <summary>Whether this key names the type that most tensors have: <c>general.file_type</c>, which programs show.</summary>
    public static bool IsFileType(string key) => key == GgufConstants.FileTypeKey;

    /// <summary>What <c>general.file_type</c> says where all tensors of floats have one type; null for types without a number.</summary>
    public static uint? FileTypeOf(DType dtype) => dtype switch
    {
        DType.F32 => 0,
        DType.F16 => 1,
        DType.BF16 => 32,
        _ => null,
    };

    /// <summary>
    /// The metadata of one part of a split model, as llama.cpp's gguf-split writes it (tools/gguf-split/gguf-split.cpp): all of
    /// it in the first part, and in every part the three split keys behind it. The alignment is in every part here, which
    /// gguf-split forgets, since each file is read by its own.
    /// </summary>
    /// <param name="metadata">The model's metadata; what it says of splitting is left out.</param>
    /// <param name="part">Which part, from 0.</param>
    /// <param name="count">How many parts there are; 1 for a model that is not split, which has no split keys.</param>
    /// <param name="tensors">How many tensors all parts have together.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such part, or there are too many.</exception>
    public static ImmutableArray<KeyValuePair<string, object>> OfPart(
        IEnumerable<KeyValuePair<string, object>> metadata, int part, int count, int tensors)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        ArgumentOutOfRangeException.ThrowIfNegative(part);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(part, count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaximumParts);
        ArgumentOutOfRangeException.ThrowIfNegative(tensors);
        var own = metadata.Where(entry => !IsSplit(entry.Key) && (part == 0 || IsAlignment(entry.Key)));
        return count == 1
            ? [.. own]
            :
            [
                .. own,
                KeyValuePair.Create<string, object>(GgufConstants.SplitNumberKey, (ushort)part),
                KeyValuePair.Create<string, object>(GgufConstants.SplitCountKey, (ushort)count),
                KeyValuePair.Create<string, object>(GgufConstants.SplitTensorsKey, tensors),
            ];
    }
}
