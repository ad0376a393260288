using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Makes a plan: runs the loaders of a model's parameters on the meta device, and turns what they write into pieces to read.</summary>
internal static class ModulePlanner
{
    // What passes at a time: enough for a few pieces of each lane, and little beside a model. Of a smaller cap on staging memory, a quarter.
    private const long MaximumPassingBytes = 64L << 20;

    // The least that staging takes (StagingLayout).
    private const long LeastStagingBytes = 64L << 10;

    /// <summary>Makes the plan.</summary>
    /// <exception cref="ArgumentException">An option is none that is possible here.</exception>
    /// <exception cref="InvalidOperationException">A parameter has storage already.</exception>
    /// <exception cref="ModelMismatchException">The checkpoint and the model do not fit.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static ModulePlan Plan(Module module, Checkpoint checkpoint, ModuleLoadOptions options, CancellationToken cancellationToken)
    {
        CheckOptions(options);
        foreach (var (name, parameter) in module.NamedParameters())
        {
            if (!parameter.IsMeta)
            {
                throw new InvalidOperationException($"Parameter {name} has storage already, on {parameter.Data.Device}: load into a model that was just made.");
            }
        }

        using var record = new ModuleRecord(module, options, checkpoint.Path);
        var passingBytes = Math.Min(MaximumPassingBytes, options.Load.StagingBytes / 4);
        var pieces = new PieceList(Math.Max(1, passingBytes / 4));
        var fills = ImmutableArray.CreateBuilder<RecordedFill>();
        var calls = ImmutableArray.CreateBuilder<LoaderCall>();
        long valueBytes = 0;
        foreach (var weight in CheckpointWeights.Of(checkpoint, options.GgufNames, mapsNames: !module.TakesStoredNames))
        {
            using (weight)
            {
                cancellationToken.ThrowIfCancellationRequested();
                foreach (var target in record.Route(weight))
                {
                    if (record.Run(weight, target) is not { } call)
                    {
                        continue;
                    }

                    if (call.NeedsValues || FillsWhatItCopied(call))
                    {
                        calls.Add(new LoaderCall(target, weight.Name, weight.Stored!.Info, weight.Stored.Transform));
                        valueBytes += BytesOf(weight, call);
                    }
                    else
                    {
                        Add(weight, call, pieces, fills, record);
                    }
                }
            }
        }

        record.Check();
        var (sorted, passing) = pieces.InFileOrder(checkpoint.Files);
        if (passing.Count == 0)
        {
            passingBytes = 0;
        }

        // What passes is host memory of the cap too where the host is the device.
        var load = options.Load.Device.IsHost && passingBytes > 0
            ? options.Load with { StagingBytes = Math.Max(LeastStagingBytes, options.Load.StagingBytes - passingBytes) }
            : options.Load;
        var memories = record.Parameters.Select(parameter => parameter.ByteLength).ToImmutableArray();
        return new ModulePlan(module, options, LoadPlanner.PlanPieces(checkpoint, load with { SlabBytes = 0 }, sorted, memories), record, passingBytes)
        {
            Passing = passing.ToFrozenDictionary(),
            Repeats = pieces.Repeats,
            Fills = fills.ToImmutable(),
            Calls = calls.ToImmutable(),
            ValueBytes = valueBytes,
        };
    }

    /// <summary>Checks what a model's load has no use for.</summary>
    [SuppressMessage("Usage", "CA2208:Instantiate argument exceptions correctly", Justification = "The option is what is wrong.")]
    internal static void CheckOptions(ModuleLoadOptions options)
    {
        if (options.Load.DType is not null || options.Load.TensorParallel is not null || options.Load.Manifest is not null)
        {
            throw new ArgumentException(
                $"Parameters have dtypes and ranks of their own, and parts of tensors have no hashes: {nameof(LoadOptions.DType)}, {nameof(LoadOptions.TensorParallel)} and "
                + $"{nameof(LoadOptions.Manifest)} are for loads of a checkpoint's own tensors.",
                nameof(ModuleLoadOptions.Load));
        }

        if (options.Load.Device.Kind == DeviceKind.Meta)
        {
            throw new ArgumentException("On the meta device the parameters are already; load them onto a device that has storage.", nameof(ModuleLoadOptions.Load));
        }
    }

    // Fills are done before anything is read.
    private static bool FillsWhatItCopied(RecordedCall call)
    {
        var copied = new List<ParameterPlace>();
        foreach (var (write, place) in call.Writes)
        {
            if (write.Source is not null)
            {
                copied.Add(place);
            }
            else if (copied.Any(other => other.Parameter == place.Parameter && Overlap(other, place)))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Overlap(ParameterPlace left, ParameterPlace right)
    {
        var (first, second) = (Extent(left), Extent(right));
        return first.Start < second.End && second.Start < first.End;
    }

    // From the first byte to behind the last; of places side by side in rows more than they have, which only costs a loader that runs again.
    private static (long Start, long End) Extent(ParameterPlace place)
    {
        if (place.Shape.ElementCount == 0)
        {
            return (0, 0);
        }

        long last = 0;
        for (var i = 0; i < place.Shape.Rank; i++)
        {
            var size = place.DType.IsBlock && i == place.Shape.Rank - 1 ? place.Shape[i] / place.DType.BlockLength : place.Shape[i];
            last += (size - 1) * place.Strides[i];
        }

        return (place.ByteOffset, place.ByteOffset + place.DType.ByteCount((last + 1) * place.DType.BlockLength));
    }

    private static void Add(
        Weight weight, RecordedCall call, PieceList pieces, ImmutableArray<RecordedFill>.Builder fills, ModuleRecord record)
    {
        var info = weight.Stored!.Info;
        foreach (var (write, place) in call.Writes)
        {
            if (write.Source is not { } source)
            {
                fills.Add(new RecordedFill(place, write.Element));
                continue;
            }

            if (place.DType != info.DType && (Codecs.Of(info.DType).ValuesPerElement != 1 || !Codecs.Of(info.DType).CanDecodeTo(place.DType)))
            {
                record.AddProblem(
                    $"tensor {Quoted.Name(weight.Name)} is {info.DType.Name}, from which there is no conversion to the {place.DType.Name} of parameter {Quoted.Name(record.NameOf(place.Parameter))}");
                continue;
            }

            var view = new StoredView(info, [.. source.Shape], source.Strides, source.ByteOffset / source.DType.BlockSize);
            // One element is copied into another whatever their shapes.
            pieces.Add(new RecordedCopy(view, place.Shape == source.Shape ? place : place with { Shape = source.Shape, Strides = [.. source.Shape.Select(_ => 1L)] }));
        }
    }

    private static long BytesOf(Weight weight, RecordedCall call)
    {
        var info = weight.Stored!.Info;
        var elements = call.Writes.Where(write => write.Write.Source is not null).Sum(write => write.Write.ElementCount);
        return elements == 0 ? info.DataByteLength : (long)Math.Ceiling((double)elements / info.DType.BlockLength) * info.DType.BlockSize;
    }
}
