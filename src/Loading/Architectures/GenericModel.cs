using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A model made of a checkpoint's own names and shapes: each tensor is a parameter, whole or this rank's share of it. Floats of 16 bits and more get the model's dtype, as do blocks; other types
/// stay as they are stored.
/// </summary>
internal sealed class GenericModel : Module
{
    private GenericModel()
    {
    }

    /// <inheritdoc/>
    public override bool TakesStoredNames => true;

    /// <summary>Says why no model can be made.</summary>
    /// <param name="context">The context.</param>
    /// <param name="reason">A clause.</param>
    /// <returns>True where one cannot be made.</returns>
    public static bool IsImpossible(ModelContext context, [NotNullWhen(true)] out string? reason)
    {
        try
        {
            Make(context, out reason).Dispose();
        }
        catch (UnsupportedCheckpointException exception)
        {
            reason = exception.Message.TrimEnd('.');
        }

        return reason is not null;
    }

    /// <summary>Makes a model.</summary>
    /// <exception cref="UnsupportedCheckpointException">It cannot be made; the message says why.</exception>
    public static GenericModel Make(ModelContext context)
    {
        var model = Make(context, out var reason);
        if (reason is null)
        {
            if (QuantizationMethods.NameIn(context.Config.Root) is { } method)
            {
                context.Warnings.WarnOnce(
                    $"{Quoted.Plain(context.Config.Path)} says that the model is quantised with {Quoted.Plain(method)}; the generic layout loads its stored numbers and does not dequantise them.");
            }

            return model;
        }

        model.Dispose();
        throw new UnsupportedCheckpointException("the generic layout", context.Config.Path, $"{reason}.");
    }

    private static GenericModel Make(ModelContext context, out string? reason)
    {
        var model = new GenericModel();
        try
        {
            reason = model.Fill(context);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    // Of a quantised model nothing tells weights from their scales, which rounding would change.
    private static DType DTypeOf(TensorInfo tensor, ModelContext context) =>
        tensor.DType.BlockLength == 1 && QuantizationMethods.NameIn(context.Config.Root) is not null ? tensor.DType
        : tensor.DType is DType.F64 or DType.F32 or DType.F16 or DType.BF16 || tensor.DType.BlockLength != 1 ? context.DType : tensor.DType;

    private string? Fill(ModelContext context)
    {
        if (context.Checkpoint is not { } checkpoint)
        {
            return "the generic layout is made of the names and shapes of the weights, and no weights were given";
        }

        var rule = new ParallelRule(context.Parallel, checkpoint, context.Config);
        foreach (var tensor in checkpoint.Tensors)
        {
            Module module = this;
            var parts = CheckpointWeights.WithoutRoot(checkpoint, tensor.Name).Split('.');
            foreach (var part in parts[..^1])
            {
                if (!module.Children.TryGetValue(part, out var child))
                {
                    if (part.Length == 0 || module.Parameters.ContainsKey(part))
                    {
                        return NoPath(tensor);
                    }

                    child = module.Register(part, new Module());
                }

                module = child;
            }

            if (parts[^1].Length == 0 || module.Children.ContainsKey(parts[^1]) || module.Parameters.ContainsKey(parts[^1]))
            {
                return NoPath(tensor);
            }

            module.Register(parts[^1], ParameterOf(tensor, rule.SliceOf(tensor), context));
        }

        return null;
    }

    private static string NoPath(TensorInfo tensor) =>
        $"the name {Quoted.Name(tensor.Name)} is no path of modules, or is one that other names go on from";

    private static Parameter ParameterOf(TensorInfo tensor, TensorSlice? slice, ModelContext context)
    {
        var dtype = DTypeOf(tensor, context);
        if (slice is null)
        {
            return new Parameter(dtype, tensor.Shape);
        }

        var (whole, parallel) = (tensor.Shape, context.Parallel);
        return new Parameter(
            dtype,
            whole.With(slice.Dimension, slice.Length),
            (parameter, weight, shard) =>
            {
                var mismatch = new WeightMismatch(parameter, weight, shard, parallel);
                if (weight.Shape != whole)
                {
                    throw mismatch.Of($"a shape of {whole} was expected over all ranks");
                }

                mismatch.Copy(weight.Narrow(slice.Dimension, slice.Start, slice.Length), parameter.Data);
            })
        {
            WholeShape = whole,
        };
    }
}
