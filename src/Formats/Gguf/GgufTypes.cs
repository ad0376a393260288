using System.Collections.Immutable;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>
/// The numbers that ggml gives to types of tensors (ggml/include/ggml.h, ggml_type; formats.md 2.4) and the
/// <see cref="DType"/> of each. Immutable and safe for any thread.
/// </summary>
public static class GgufTypes
{
    // By id; null where ggml has taken the type out.
    private static readonly DType?[] ById =
    [
        DType.F32, DType.F16, DType.Q4_0, DType.Q4_1, null, null, DType.Q5_0, DType.Q5_1, DType.Q8_0, DType.Q8_1,
        DType.Q2_K, DType.Q3_K, DType.Q4_K, DType.Q5_K, DType.Q6_K, DType.Q8_K,
        DType.IQ2_XXS, DType.IQ2_XS, DType.IQ3_XXS, DType.IQ1_S, DType.IQ4_NL, DType.IQ3_S, DType.IQ2_S, DType.IQ4_XS,
        DType.I8, DType.I16, DType.I32, DType.I64, DType.F64, DType.IQ1_M, DType.BF16, null, null, null,
        DType.TQ1_0, DType.TQ2_0, null, null, null, DType.MXFP4, DType.NVFP4, DType.Q1_0, DType.Q2_0,
    ];

    private static readonly ImmutableDictionary<DType, int> Ids =
        ById.Index().Where(row => row.Item is not null).ToImmutableDictionary(row => row.Item!.Value, row => row.Index);

    /// <summary>How many ids there are, with the removed ones (GGML_TYPE_COUNT).</summary>
    public static int Count => ById.Length;

    /// <summary>The types that a GGUF file can hold, in the order of their ids.</summary>
    public static ImmutableArray<DType> All { get; } = [.. ById.OfType<DType>()];

    /// <summary>The type of an id.</summary>
    /// <param name="id">The number in the file.</param>
    /// <param name="dtype">The type; undefined where there is none.</param>
    /// <returns>Whether the id is one of a type that ggml still has.</returns>
    public static bool TryGetDType(int id, out DType dtype)
    {
        var found = id >= 0 && id < ById.Length ? ById[id] : null;
        dtype = found.GetValueOrDefault();
        return found is not null;
    }

    /// <summary>The id of a type.</summary>
    /// <param name="dtype">The type.</param>
    /// <param name="id">The number that a file gives it; 0 where there is none.</param>
    /// <returns>Whether a GGUF file can hold the type.</returns>
    public static bool TryGetId(DType dtype, out int id) => Ids.TryGetValue(dtype, out id);

    /// <summary>The name of a type that ggml has removed, such as <c>Q4_0_4_4</c>; null for every other id.</summary>
    public static string? RemovedName(int id) => id switch
    {
        4 => "Q4_2",
        5 => "Q4_3",
        31 => "Q4_0_4_4",
        32 => "Q4_0_4_8",
        33 => "Q4_0_8_8",
        36 => "IQ4_NL_4_4",
        37 => "IQ4_NL_4_8",
        38 => "IQ4_NL_8_8",
        _ => null,
    };

    /// <summary>An id without a type as a listing shows it.</summary>
    internal static string Describe(int id) => RemovedName(id) is { } removed ? $"{removed} (removed)" : $"type {id}?";

    /// <summary>Why an id is none of a tensor that can be read, as a sentence for a message.</summary>
    internal static string Refusal(int id) => RemovedName(id) is { } removed
        ? $"its type {id} ({removed}) was removed from ggml; requantise the model to {(id >= 36 ? "IQ4_NL or " : "")}Q4_0."
        : $"its type {id} is none that ggml {(id < 0 ? "ever had" : $"had up to type {Count - 1}")}: the file is damaged, or written by a "
          + "program that is newer than this one or has types of its own.";
}
