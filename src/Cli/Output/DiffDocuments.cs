using System.Text.Json.Serialization;

namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>diff</c> finds. Tensors that are equal are counted, not listed.</summary>
internal sealed record DiffDocument(
    string Left,
    string Right,
    bool ComparedValues,
    bool Different,
    DiffTotals Totals,
    IReadOnlyList<DiffedTensor> Tensors,
    IReadOnlyList<DiffedMetadata> Metadata) : Document("ilgpu-loader/diff/1");

internal sealed record DiffTotals(int Added, int Removed, int Changed, int NotCompared, int Equal);

/// <summary>Differences are of added, removed, dtype, shape, values, bytes.</summary>
internal sealed record DiffedTensor(
    string Name, IReadOnlyList<string> Differences, DiffedSide? Left, DiffedSide? Right, DiffedValues? Values, string? Error);

internal sealed record DiffedSide(string Dtype, IReadOnlyList<long> Shape, string File);

/// <summary>Values that differ and, apart, elements whose bytes alone do. The largest difference is null where no two numbers differ.</summary>
internal sealed record DiffedValues(
    long Count,
    long Different,
    long BytesOnly,
    long NanAppeared,
    long NanDisappeared,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DiffedLargest? Largest,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DocumentValue? LargestRelative);

/// <summary>Part is "imaginary" or, of a complex number, "real"; it is left out for others.</summary>
internal sealed record DiffedLargest(IReadOnlyList<long> Index, string? Part, DocumentValue Left, DocumentValue Right, DocumentValue? Absolute);

internal sealed record DiffedMetadata(string Key, string? Left, string? Right);
