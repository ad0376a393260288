using System.Text.Json.Serialization;

namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>show</c> shows. A view is there where strides see a part of a storage, or another order of it.</summary>
internal sealed record ShowDocument(
    string Path,
    string Name,
    string Dtype,
    IReadOnlyList<long> Shape,
    string File,
    long Offset,
    long Bytes,
    ShownValues Values,
    DescribedStatistics? Statistics,
    IReadOnlyList<ShownBin> Histogram,
    ListedView? View) : Document("ilgpu-loader/show/1");

/// <summary>
/// The first rows of the innermost matrix that begins the tensor, and the first values of each; a tensor of fewer
/// dimensions is one row. Index has what all dimensions but the last two are held at.
/// </summary>
internal sealed record ShownValues(IReadOnlyList<long> Index, IReadOnlyList<IReadOnlyList<DocumentValue>> Rows);

/// <summary>
/// A bin from lower to upper: of integers both belong to it; of others upper belongs to the next bin, and the last bin's to it.
/// </summary>
internal sealed record ShownBin(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DocumentValue? Lower,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DocumentValue? Upper,
    long Count);
