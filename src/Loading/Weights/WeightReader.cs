using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Reads parts of lazy weights by themselves.</summary>
internal static class WeightReader
{
    /// <summary>Reads a part.</summary>
    /// <param name="stored">The weight.</param>
    /// <param name="part">What of it.</param>
    /// <param name="dtype">The dtype of the result; null for the stored one, or F32 where elements share bytes.</param>
    /// <param name="options">Device, lanes and staging; what they say of names, ranks and dtypes does not count.</param>
    /// <param name="cancellationToken">Ends the reading within the time of one slot.</param>
    /// <returns>A contiguous tensor, which the caller disposes.</returns>
    public static async Task<Tensor> ReadAsync(
        StoredWeight stored, WeightPart part, DType? dtype, LoadOptions options, CancellationToken cancellationToken)
    {
        var info = stored.Info;
        var target = dtype ?? (info.DType.BlockLength == 1 ? info.DType : DType.F32);
        // Values that change are computed on the host in F32, and rounded once; a GGUF's norms, which are small.
        var changes = stored.Transform.ChangesValues;
        var loaded = await LoadAsync(
            info, part, changes ? DType.F32 : target, changes ? options with { Device = HostDevice.Shared } : options, cancellationToken).ConfigureAwait(false);
        if (!changes && loaded.IsContiguous && part.PendingHeads == 0)
        {
            return loaded;
        }

        using (loaded)
        {
            using var moved = Move(loaded, part.PendingHeads);
            return !changes ? moved.To(options.Device) : ReferenceEquals(options.Device, HostDevice.Shared) ? stored.Transform.Apply(moved, target) : Changed(moved);
        }

        Tensor Changed(Tensor values)
        {
            using var changed = stored.Transform.Apply(values, target);
            return changed.To(options.Device);
        }
    }

    private static Tensor Move(Tensor loaded, long heads)
    {
        if (heads == 0 || loaded.ElementCount == 0)
        {
            return loaded.On(loaded.Device);
        }

        var moved = Tensor.Empty(loaded.DType, loaded.Shape, loaded.Device);
        try
        {
            WeightTransform.MoveRows(loaded, heads, moved);
            return moved;
        }
        catch
        {
            moved.Dispose();
            throw;
        }
    }

    private static async Task<Tensor> LoadAsync(TensorInfo info, WeightPart part, DType dtype, LoadOptions options, CancellationToken cancellationToken)
    {
        var view = new StoredView(info, [.. part.Shape], part.Strides, part.FirstElement);
        var bytes = dtype.ByteCount(view.LoadedElements);
        ImmutableArray<PlannedTensor> pieces =
        [
            .. view.Pieces(dtype)
                .Select(piece => piece.Piece with { Slab = new SlabPlace(0, dtype.ByteCount(piece.FirstElement)) })
                .OrderBy(piece => piece.Source.DataOffset),
        ];
        // It closes nothing: the file is the caller's.
        var checkpoint = Checkpoint.OfTensors(info.File, []);
        var plan = LoadPlanner.PlanPieces(checkpoint, options with { TensorParallel = null, Manifest = null, DType = null, SlabBytes = 0 }, pieces, [bytes]);
        plan.ThrowIfTooLarge(bytes);
        using var memory = options.Device.Allocate(bytes);
        _ = await CheckpointLoader.LoadPiecesAsync(plan, [memory], 0, (_, _) => { }, null, cancellationToken).ConfigureAwait(false);
        return new Tensor(memory, dtype, part.Shape, dtype.IsBlock ? default : view.LoadedStrides);
    }
}
