using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What a conversion wrote. Immutable.</summary>
/// <param name="Output">The file or folder.</param>
/// <param name="WeightFiles">The base names of the files with tensors, in the order of their shards.</param>
/// <param name="CarriedFiles">The base names of what was carried along: configuration, tokenizer.</param>
/// <param name="Tensors">Tensors written, those that are only named as ties not counted.</param>
/// <param name="ConvertedTensors">How many of them changed their dtype.</param>
/// <param name="Ties">Names that were written as ties.</param>
/// <param name="BytesRead">Bytes of tensors read.</param>
/// <param name="BytesWritten">Bytes of tensors written.</param>
/// <param name="Overflows">Tensors with finite values beyond the dtype they were converted to, by name.</param>
/// <param name="Elapsed">The time that passed, forcing to disk included.</param>
/// <param name="Lanes">How many lanes there were.</param>
/// <param name="Format">What was written.</param>
/// <param name="DuplicatedTensors">
/// Tensors that share the bytes of another in the checkpoint and were written in full, as the format has no ties.
/// </param>
/// <param name="DuplicatedBytes">The bytes that this took.</param>
/// <param name="OmittedMetadata">
/// Keys of the metadata that the format has no place for, which were left out. What describes only the files that were read is not
/// among them: GGUF's alignment, the numbers of parts and the type that most tensors had, and ties that were understood.
/// </param>
/// <param name="SeparatedTensors">
/// Tensors that are views of a storage, share elements with others of it, and were each written in full, by itself.
/// </param>
/// <param name="SeparatedBytes">The bytes that this took: those of elements that were written more than once.</param>
/// <param name="UnscaledTensors">
/// Tensors of PyTorch's quantised types of whose quantiser something is among the omitted metadata: what was written are integers that mean
/// nothing without their scale and zero point.
/// </param>
public sealed record ConversionResult(
    string Output,
    ImmutableArray<string> WeightFiles,
    ImmutableArray<string> CarriedFiles,
    int Tensors,
    int ConvertedTensors,
    int Ties,
    long BytesRead,
    long BytesWritten,
    ImmutableArray<TensorOverflow> Overflows,
    TimeSpan Elapsed,
    int Lanes,
    OutputFormat Format,
    int DuplicatedTensors,
    long DuplicatedBytes,
    ImmutableArray<string> OmittedMetadata,
    int SeparatedTensors,
    long SeparatedBytes,
    ImmutableArray<string> UnscaledTensors)
{
    /// <summary>Tensors of which a rank's share was written, those that are only named as ties not counted.</summary>
    public int SlicedTensors { get; init; }
}
