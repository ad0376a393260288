using System.Collections.Immutable;
using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>A plan held against memory, as text and as a document.</summary>
internal sealed class PlanReport
{
    // In text; the document has all of them.
    private const int LargestShown = 10;

    private readonly LoadPlan _plan;
    private readonly string _dtype;
    private readonly IReadOnlyList<PlannedRankBytes>? _ranks;
    private readonly IReadOnlyList<PlannedConversion> _conversions;
    private readonly IReadOnlyList<PlannedFile> _files;

    /// <summary>Makes the report.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="dtype">The dtype as it was typed.</param>
    /// <param name="ranks">What each rank takes; null where one was chosen.</param>
    public PlanReport(LoadPlan plan, string dtype, IReadOnlyList<PlannedRankBytes>? ranks)
    {
        _plan = plan;
        _dtype = dtype;
        _ranks = ranks;
        Memory = plan.MemoryNeeds();
        // What is tied is neither read nor converted again.
        _conversions = [.. plan.Tensors
            .Where(tensor => tensor.TiedTo is null && tensor.DType != tensor.Source.DType)
            .GroupBy(tensor => (From: tensor.Source.DType, To: tensor.DType))
            .Select(group => new PlannedConversion(
                group.Key.From.Name,
                group.Key.To.Name,
                group.Count(),
                Memories(group).Sum(memory => memory.SourceByteLength),
                Memories(group).Sum(memory => memory.ByteLength)))
            .OrderByDescending(conversion => conversion.Bytes)];
        _files = [.. Files(plan)];
    }

    /// <summary>What would be downloaded first; null of local files, and of what is always streamed.</summary>
    public PlannedDownload? Download { get; init; }

    /// <summary>What is needed and free, device by device.</summary>
    public ImmutableArray<MemoryNeed> Memory { get; }

    /// <summary>Whether the load would fit.</summary>
    public bool Fits => Memory.All(need => need.Fits);

    /// <summary>The whole of it for programs.</summary>
    public PlanDocument ToDocument() => new(
        _plan.Checkpoint.Path,
        _plan.Device.Id,
        _dtype,
        _plan.Options.TensorParallel is { } parallel ? new PlannedRank(parallel.WorldSize, parallel.Rank) : null,
        Fits,
        new PlannedTotals(
            _plan.Tensors.Length,
            _plan.SlicedCount,
            _plan.Tensors.Length - _plan.SlicedCount,
            _plan.TiedCount,
            _plan.Runs.Length,
            _plan.Staging.Lanes,
            _plan.BytesToRead,
            _plan.BytesNeeded,
            _plan.DestinationBytes,
            _plan.Staging.Bytes,
            _plan.Blocks.IsEmpty ? null : _plan.Blocks.Length,
            _plan.Slabs.IsEmpty ? null : _plan.Slabs.Length,
            _plan.Slabs.IsEmpty ? null : _plan.SlabTensorCount,
            _plan.MappedCount > 0 ? _plan.MappedCount : null,
            _plan.MappedCount > 0 ? _plan.MappedBytes : null),
        [.. Memory.Select(need => new PlannedMemory(
            need.Device.Id, need.NeededBytes, need.TensorBytes, need.StagingBytes, need.FreeBytes, need.TotalBytes, need.Fits))],
        _conversions,
        _ranks,
        _files,
        [.. _plan.Tensors.Select(tensor => new ListedPlannedTensor(
            tensor.Name,
            tensor.DType.Name,
            tensor.Shape,
            tensor.ByteLength,
            tensor.Source.File.Name,
            tensor.Source.DType.Name,
            tensor.SourceByteLength,
            tensor.Slice is { } slice ? new PlannedSlice(slice.Dimension, slice.Start, slice.Length, tensor.Source.Shape) : null,
            tensor.TiedTo is { } first ? _plan.Tensors[first].Name : null,
            tensor.Place is { } place
                ? new PlannedView(place.Block, place.Offset, place.Strides.IsDefault ? tensor.Shape.RowMajorStrides() : place.Strides)
                : null,
            tensor.IsMapped ? true : null))],
        Download: Download);

    /// <summary>The text for people.</summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="become">The words for what the tensors become.</param>
    public void WriteTo(TextWriter output, string become)
    {
        var rank = _plan.Options.TensorParallel is { } parallel ? $", rank {parallel.Rank} of {parallel.WorldSize}{(_ranks is null ? "" : " (--rank chooses another)")}" : "";
        output.WriteLine(
            $"{Quoted.Plain(_plan.Checkpoint.Path)}: {Sizes.Count(_plan.Tensors.Length, "tensor")} to {DeviceOption.Describe(_plan.Device)}{become}{rank}");
        WriteBytes(output);
        WriteMemory(output);
        WriteDownload(output);
        WriteTensors(output);
        WriteRanks(output);
        WriteFiles(output);
    }

    /// <summary>Adds what is read between segments to a table of bytes, where it is as much as reading a rank's part may cost beyond it unless that is cheaper.</summary>
    /// <param name="table">Words, sizes, counts and words.</param>
    /// <param name="plan">What is read.</param>
    public static void AddGapsTo(TextTable table, LoadPlan plan)
    {
        if (plan.BytesBetweenSegments > plan.BytesNeeded / 50)
        {
            table.Add(
                "",
                Sizes.Format(plan.BytesBetweenSegments),
                Sizes.Count(plan.BytesBetweenSegments),
                "bytes lie between short segments of slices: reading them costs less than a read for each segment (--exact-slices)");
        }
    }

    private void WriteBytes(TextWriter output)
    {
        var table = new TextTable("lrrl");
        table.Add(
            "read",
            Sizes.Format(_plan.BytesToRead),
            Sizes.Count(_plan.BytesToRead),
            $"bytes in {Sizes.Count(_plan.Runs.Length, "run")} over {Sizes.Count(_plan.Staging.Lanes, "lane")}");
        table.Add(
            "needed",
            Sizes.Format(_plan.BytesNeeded),
            Sizes.Count(_plan.BytesNeeded),
            _plan.BytesNeeded <= _plan.BytesToRead ? "bytes of them" : $"bytes, which {_plan.Device.Id} does not read");
        AddGapsTo(table, _plan);
        table.Add("tensors", Sizes.Format(_plan.DestinationBytes), Sizes.Count(_plan.DestinationBytes), $"bytes on {DeviceOption.Describe(_plan.Device)}");
        if (_plan.MappedCount > 0)
        {
            table.Add(
                "mapped", Sizes.Format(_plan.MappedBytes), Sizes.Count(_plan.MappedBytes), $"bytes that {Sizes.Count(_plan.MappedCount, "tensor")} see in the files");
        }

        table.Add(
            "staging",
            Sizes.Format(_plan.Staging.Bytes),
            Sizes.Count(_plan.Staging.Bytes),
            _plan.Staging.SlotBytes == 0
                ? "bytes"
                : $"bytes of the host: {Sizes.Count(_plan.Staging.SlotsPerLane, "slot")} of {Sizes.Format(_plan.Staging.SlotBytes)} a lane");
        table.WriteTo(output, "  ");
    }

    private void WriteMemory(TextWriter output)
    {
        foreach (var need in Memory)
        {
            output.WriteLine(
                $"  {need.Device.Id}: {Sizes.Format(need.NeededBytes)} needed, {Sizes.Format(need.FreeBytes)} free of "
                + $"{Sizes.Format(need.TotalBytes)}: {(need.Fits ? "fits" : "does not fit")}");
        }
    }

    private void WriteDownload(TextWriter output)
    {
        if (Download is { } download)
        {
            var room = download.FreeBytes is { } free ? $", {Sizes.Format(free)} free: {(download.Fits == true ? "fits" : "does not fit")}" : "";
            output.WriteLine($"  download: {Sizes.Format(download.Bytes)} in {Sizes.Count(download.Files, "file")} into {Quoted.Plain(download.Cache)}{room} (--stream needs none)");
        }
    }

    private void WriteTensors(TextWriter output)
    {
        if (_plan.Options.TensorParallel is not null)
        {
            output.WriteLine($"  {Sizes.Count(_plan.SlicedCount, "tensor")} sliced, {Sizes.Count(_plan.Tensors.Length - _plan.SlicedCount)} replicated");
        }

        if (_plan.TiedCount > 0)
        {
            output.WriteLine($"  {Sizes.Count(_plan.TiedCount, "tensor")} tied to others, neither read nor held again");
        }

        if (!_plan.Blocks.IsEmpty)
        {
            output.WriteLine(
                $"  {Sizes.Count(_plan.Blocks.Sum(block => block.Tensors.Length), "view")} of {Sizes.Count(_plan.Blocks.Length, "block")} of memory, "
                + "each read and held once");
        }

        if (!_plan.Slabs.IsEmpty)
        {
            output.WriteLine($"  {Sizes.Count(_plan.SlabTensorCount, "tensor")} in {Sizes.Count(_plan.Slabs.Length, "slab")} of memory, {Sizes.Format(_plan.Slabs.Sum())}");
        }

        var conversions = new TextTable("lrrlr");
        foreach (var conversion in _conversions)
        {
            conversions.Add(
                $"{conversion.From} to {conversion.To}",
                Sizes.Count(conversion.Tensors, "tensor"),
                Sizes.Format(conversion.StoredBytes),
                "to",
                Sizes.Format(conversion.Bytes));
        }

        WriteSection(output, "conversions", conversions, _conversions.Count);
        var largest = new TextTable("rllll");
        foreach (var tensor in _plan.LargestTensors(LargestShown))
        {
            largest.Add(
                Sizes.Format(_plan.MemoryOf(tensor)),
                Quoted.Plain(tensor.Name),
                tensor.DType.Name,
                tensor.Shape.ToString(),
                tensor.Slice is { } slice ? $"{Part(slice, tensor.Source.Shape)} of {tensor.Source.Shape}" : Views(tensor));
        }

        WriteSection(output, "largest tensors", largest, _plan.Tensors.Length - _plan.MappedCount);
    }

    // A block that several of the tensors are views of is converted once.
    private IEnumerable<PlannedTensor> Memories(IEnumerable<PlannedTensor> tensors) =>
        tensors.Select(tensor => tensor.Block is { } block ? _plan.Blocks[block].Memory : tensor).Distinct();

    private string Views(PlannedTensor tensor) => tensor.Block is { } block && _plan.Blocks[block].Tensors.Length > 1
        ? $"and {Sizes.Count(_plan.Blocks[block].Tensors.Length - 1, "other view")} of one block"
        : "";

    // As NumPy would say it, and as 'show' does.
    private static string Part(TensorSlice slice, Shape shape) =>
        $"[{string.Join(", ", shape.Select((_, i) => i == slice.Dimension ? $"{slice.Start}:{slice.Start + slice.Length}" : ":"))}]";

    private void WriteRanks(TextWriter output)
    {
        var table = new TextTable("lrrr");
        table.Add("rank", "read", "needed", "tensors");
        foreach (var rank in _ranks ?? [])
        {
            table.Add($"{rank.Rank}", Sizes.Format(rank.BytesToRead), Sizes.Format(rank.BytesNeeded), Sizes.Format(rank.Bytes));
        }

        WriteSection(output, "ranks", table, _ranks?.Count ?? 0);
    }

    private void WriteFiles(TextWriter output)
    {
        // Shards are usually alike: what holds for all of them stands above.
        var modes = _files.Select(ModeOf).Distinct().ToArray();
        var common = _files.Count > 1 && modes is [not ""] ? modes[0] : null;
        var table = new TextTable("lrrrl");
        foreach (var file in _files)
        {
            table.Add(
                Quoted.Plain(file.Name),
                Sizes.Count(file.Tensors, "tensor"),
                Sizes.Count(file.Runs, "run"),
                Sizes.Format(file.BytesToRead),
                common is null ? ModeOf(file) : "");
        }

        WriteSection(output, common is null ? "files" : $"files, {common}", table, _files.Count);
    }

    private static string ModeOf(PlannedFile file) => file.ReadMode is null ? "" : $"{file.ReadMode}: {file.ReadModeReason}";

    private static void WriteSection(TextWriter output, string title, TextTable table, int rows)
    {
        if (rows > 0)
        {
            output.WriteLine();
            output.WriteLine(title);
            table.WriteTo(output, "  ");
        }
    }

    // Those that tensors are taken from, also where nothing of them is read (meta).
    private static IEnumerable<PlannedFile> Files(LoadPlan plan)
    {
        var tensors = plan.Tensors.CountBy(tensor => tensor.Source.File).ToDictionary();
        var mapped = plan.Tensors.Where(tensor => tensor.IsMapped).Select(tensor => tensor.Source.File).ToHashSet();
        var runs = new (int Count, long Bytes)[plan.Checkpoint.Files.Length];
        foreach (var run in plan.Runs)
        {
            runs[run.File] = (runs[run.File].Count + 1, runs[run.File].Bytes + run.ByteLength);
        }

        foreach (var (index, file) in plan.Checkpoint.Files.Index())
        {
            if (tensors.TryGetValue(file, out var count))
            {
                var mode = runs[index].Count > 0 ? plan.FileModes[index] : mapped.Contains(file) ? new FileReadMode(ReadMode.Mapped, "asked for") : null;
                yield return new PlannedFile(
                    file.Name, file.Path, count, runs[index].Count, runs[index].Bytes, mode?.ModeName, mode?.Reason);
            }
        }
    }
}
