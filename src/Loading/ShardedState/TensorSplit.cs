using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a rank has of a tensor that ranks share: recorded from its parameter's loader as it takes the one weight that fills the parameters of all ranks. Immutable.</summary>
/// <param name="Whole">The shape of that weight; the tensor's own where the loader tells nothing.</param>
/// <param name="Shares">What the rank has of it. Rows that pad a vocabulary are of no weight.</param>
/// <param name="IsKnown">Whether the loader tells; else the rank is taken to have all.</param>
internal sealed record TensorSplit(Shape Whole, ImmutableArray<SplitShare> Shares, bool IsKnown)
{
    /// <summary>Asks a parameter's loader.</summary>
    public static TensorSplit Of(Parameter parameter)
    {
        if (parameter.Splitting is not { } sharing)
        {
            return Of(parameter.Data);
        }

        var whole = sharing.WholeOf(parameter.Shape);
        using var meta = Tensor.Empty(parameter.DType, parameter.Shape, MetaDevice.Shared);
        using var weight = new Weight(parameter.Name, Tensor.Empty(parameter.DType, whole, MetaDevice.Shared));
        using var recorder = new MetaRecorder();
        var before = parameter.Exchange(meta);
        try
        {
            sharing.Load(parameter, weight, ShardId.None);
        }
        catch (Exception exception) when (exception is ModelMismatchException or ArgumentException or InvalidOperationException)
        {
            // It takes parts alone, or a weight of another form, or wants values: then it does not tell.
            return Of(parameter.Data);
        }
        finally
        {
            _ = parameter.Exchange(before);
        }

        return recorder.ElementCount == meta.ElementCount && SharesOf(recorder.Writes, meta, weight.Tensor) is { } shares
            ? new TensorSplit(whole, shares, true)
            : Of(parameter.Data);
    }

    /// <summary>A tensor that every rank has as a whole.</summary>
    public static TensorSplit Of(Tensor tensor)
    {
        using var all = Tensor.Empty(tensor.DType, tensor.Shape, MetaDevice.Shared);
        var view = new StridedView(all.Memory, all.DType, all.Shape, all.Strides, 0);
        return new TensorSplit(tensor.Shape, SplitShare.Of(view, view, tensor.Shape) is { } share ? [share] : [], false);
    }

    private static ImmutableArray<SplitShare>? SharesOf(IEnumerable<RecordedWrite> writes, Tensor rank, Tensor whole)
    {
        var shares = ImmutableArray.CreateBuilder<SplitShare>();
        foreach (var write in writes)
        {
            if (!ReferenceEquals(write.Destination.Memory, rank.Memory))
            {
                return null;
            }

            if (write.Source is { } source && write.ElementCount > 0)
            {
                if (!ReferenceEquals(source.Memory, whole.Memory) || SplitShare.Of(source, write.Destination, whole.Shape) is not { } share)
                {
                    return null;
                }

                shares.Add(share);
            }
        }

        return shares.ToImmutable();
    }
}
