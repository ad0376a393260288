using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// The files of a plan as one load reads them: where the plan asks for it (<see cref="ReadMode.Mapped"/>) from mappings, one a file, which
/// are made when they are first needed; else as the checkpoint reads them. Tensors over a mapping keep it, this gives up its own references. Safe for any thread.
/// </summary>
internal sealed class MappedFiles : IDisposable
{
    private readonly Dictionary<LocalFileSource, FileMapping> _mappings = [];
    private readonly Lock _lock = new();
    private readonly Checkpoint _checkpoint;
    private readonly ImmutableArray<CheckpointFile> _files;

    /// <summary>Maps nothing yet.</summary>
    /// <param name="plan">The plan; its checkpoint stays open.</param>
    public MappedFiles(LoadPlan plan)
    {
        _checkpoint = plan.Checkpoint;
        _files = plan.Options.ReadMode == ReadMode.Mapped
            ? [.. plan.Checkpoint.Files.Select(file => file.Source is IFileByteSource source ? new CheckpointFile(file.Name, file.Path, file.Format, MappedSource.Over(source, this)) : file)]
            : plan.Checkpoint.Files;
    }

    /// <summary>What the bytes of a file are read from, by its index in the checkpoint.</summary>
    public IByteSource SourceOf(int file) => _files[file].Source;

    /// <summary>A tensor of a file whose reads come from here.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="file">Its file's index in the checkpoint.</param>
    public TensorInfo Of(TensorInfo tensor, int file) =>
        // What can only be read forward is kept by the file's own source, for more than one load.
        _files[file] == tensor.File || tensor.File.Source.IsSequentialAt(tensor.DataOffset)
            ? tensor
            : new TensorInfo(tensor.Name, tensor.DType, tensor.Shape, _files[file], tensor.Offset, tensor.ByteLength) { Strides = tensor.Strides, StorageOffset = tensor.StorageOffset };

    /// <summary>The bytes of a run of kind <see cref="RunKind.Mapped"/>, brought into memory.</summary>
    /// <inheritdoc cref="Read(FileRange, int)"/>
    public ReadOnlySpan<byte> Read(in ReadRun run) => Read(RangeOf(run), run.ByteLength);

    /// <summary>Says that the bytes of a run were used, and will not be again: they need not count as this process's memory.</summary>
    public void Forget(in ReadRun run) => Forget(RangeOf(run), run.ByteLength);

    /// <summary>The bytes of a range, which is one of a local file, brought into memory.</summary>
    /// <exception cref="InvalidCheckpointException">The file was changed or replaced.</exception>
    /// <exception cref="IOException">The file cannot be mapped, or a page of it cannot be read.</exception>
    public ReadOnlySpan<byte> Read(FileRange range, int length)
    {
        var mapping = MappingOf(range.File);
        mapping.Populate(range.Offset, length);
        return mapping.AsSpan(range.Offset, length);
    }

    /// <summary>Says that the bytes of a range were used, and will not be again.</summary>
    public void Forget(FileRange range, int length) => MappingOf(range.File).Forget(range.Offset, length);

    /// <summary>Makes the memory of a tensor or of a block: a view of its file where the plan says so, else new on the plan's device.</summary>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    /// <exception cref="InvalidCheckpointException">The file was changed or replaced.</exception>
    /// <exception cref="IOException">The file cannot be mapped.</exception>
    public Tensor Allocate(PlannedTensor planned, Device device)
    {
        if (!planned.IsMapped)
        {
            return Tensor.Empty(planned.DType, planned.Shape, device);
        }

        var range = RangeOf(planned);
        using var memory = ((HostDevice)device).Map(MappingOf(range.File), range.Offset, planned.ByteLength);
        return new Tensor(memory, planned.DType, planned.Shape);
    }

    /// <summary>Checks that every file that is mapped is what it was when it was opened.</summary>
    /// <exception cref="InvalidCheckpointException">A file was changed or replaced.</exception>
    public async ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken)
    {
        LocalFileSource[] files;
        lock (_lock)
        {
            files = [.. _mappings.Keys];
        }

        foreach (var file in files)
        {
            await file.EnsureUnchangedAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Checks the file of a tensor that is a view of it.</summary>
    /// <inheritdoc cref="EnsureUnchangedAsync(CancellationToken)"/>
    public static ValueTask EnsureUnchangedAsync(PlannedTensor mapped, CancellationToken cancellationToken) =>
        RangeOf(mapped).File.EnsureUnchangedAsync(cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var mapping in _mappings.Values)
        {
            mapping.Dispose();
        }

        _mappings.Clear();
    }

    private FileRange RangeOf(in ReadRun run) =>
        _checkpoint.Files[run.File].Source.FindFileRange(run.Offset, run.ByteLength) ?? throw new InvalidOperationException("The run is of no local file.");

    private static FileRange RangeOf(PlannedTensor mapped) =>
        mapped.Range is var (offset, length) && mapped.Source.File.Source.FindFileRange(offset, length) is { } range
            ? range
            : throw new InvalidOperationException($"{mapped.Name} is planned as a view of a file, and has no range there.");

    private FileMapping MappingOf(LocalFileSource file)
    {
        lock (_lock)
        {
            if (!_mappings.TryGetValue(file, out var mapping))
            {
                _mappings.Add(file, mapping = file.Map());
            }

            return mapping;
        }
    }
}
