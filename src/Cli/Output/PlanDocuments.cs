namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>plan</c> says: what a load would read, make and take. <c>ranks</c> is there where no rank was chosen.</summary>
internal sealed record PlanDocument(
    string Path,
    string Device,
    string Dtype,
    PlannedRank? TensorParallel,
    bool Fits,
    PlannedTotals Totals,
    IReadOnlyList<PlannedMemory> Memory,
    IReadOnlyList<PlannedConversion> Conversions,
    IReadOnlyList<PlannedRankBytes>? Ranks,
    IReadOnlyList<PlannedFile> Files,
    IReadOnlyList<ListedPlannedTensor> Tensors,
    FetchedTotals? Fetched = null,
    PlannedDownload? Download = null) : Document("ilgpu-loader/plan/1");

/// <summary>What a load without <c>--stream</c> would bring into a cache first, and the room on its disk, where that is known. Files that the cache has already do not count.</summary>
internal sealed record PlannedDownload(int Files, long Bytes, string Cache, long? FreeBytes, bool? Fits);

internal sealed record PlannedRank(int WorldSize, int Rank);

/// <summary>
/// Sums. Sliced and whole tensors add up to all of them; tied ones take no bytes of their own, nor do views of blocks, whose number is there
/// where there are any, as is that of slabs and of the small tensors in them; <c>mapped</c> tensors, views of mapped files, take none either.
/// The bytes are those of the device, or of each of several; <c>memory</c> has a line for each.
/// </summary>
internal sealed record PlannedTotals(
    int Tensors,
    int Sliced,
    int Whole,
    int Tied,
    int Runs,
    int Lanes,
    long BytesToRead,
    long BytesNeeded,
    long Bytes,
    long StagingBytes,
    int? Blocks = null,
    int? Slabs = null,
    int? TensorsInSlabs = null,
    int? Mapped = null,
    long? MappedBytes = null);

internal sealed record PlannedMemory(
    string Device, long NeededBytes, long TensorBytes, long StagingBytes, long FreeBytes, long TotalBytes, bool Fits);

/// <summary>Tensors that change their dtype: bytes as stored, and as they are made.</summary>
internal sealed record PlannedConversion(string From, string To, int Tensors, long StoredBytes, long Bytes);

internal sealed record PlannedRankBytes(int Rank, long BytesToRead, long BytesNeeded, long Bytes);

/// <summary>A file that tensors are taken from; how it is read, and why, where anything is.</summary>
internal sealed record PlannedFile(
    string Name, string Path, int Tensors, int Runs, long BytesToRead, string? ReadMode = null, string? ReadModeReason = null);

/// <summary>A tensor that is made: dtype and shape on the device, what is stored for it, and the earlier one that it is tied to.</summary>
internal sealed record ListedPlannedTensor(
    string Name,
    string Dtype,
    IReadOnlyList<long> Shape,
    long Bytes,
    string File,
    string StoredDtype,
    long StoredBytes,
    PlannedSlice? Slice,
    string? TiedTo,
    PlannedView? View = null,
    bool? Mapped = null);

/// <summary>Where a tensor lies in a block of memory that it is a view of: the block's number, offset and strides in elements.</summary>
internal sealed record PlannedView(int Block, long Offset, IReadOnlyList<long> Strides);

internal sealed record PlannedSlice(
    int Dimension, long Start, long Length, IReadOnlyList<long> Of);
