using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>What was written of a model. Immutable.</summary>
/// <param name="Output">The file or folder.</param>
/// <param name="WeightFiles">The base names of the files with parameters, in the order of their shards.</param>
/// <param name="CarriedFiles">The base names of what was carried along: configuration, tokenizer.</param>
/// <param name="Parameters">Parameters written, those that are only named as ties not counted.</param>
/// <param name="Ties">Names that were written as ties.</param>
/// <param name="Batches">How many times a window of parameters was loaded, written and freed.</param>
/// <param name="BytesRead">Bytes of tensors read.</param>
/// <param name="BytesWritten">Bytes of parameters written.</param>
/// <param name="OmittedMetadata">Keys of the metadata that safetensors has no place for, which were left out.</param>
/// <param name="Elapsed">The time that passed, forcing to disk included.</param>
public sealed record ModelConversionResult(
    string Output,
    ImmutableArray<string> WeightFiles,
    ImmutableArray<string> CarriedFiles,
    int Parameters,
    int Ties,
    int Batches,
    long BytesRead,
    long BytesWritten,
    ImmutableArray<string> OmittedMetadata,
    TimeSpan Elapsed)
{
    /// <summary>
    /// What went where, as a load of all parameters at once would be planned: which weights fill each, what is missing of them, which is 0 where they are written, and what was left over.
    /// </summary>
    public required ModulePlan Plan { get; init; }
}
