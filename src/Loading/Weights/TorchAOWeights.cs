using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Streams files of torchao and gives each weight when the last of its parts is there, whatever files they are in. Parts that wait stay on the device; components keep their types,
/// whatever the options say, since a scale that was applied twice or not at all is another value.
/// </summary>
/// <param name="files">The opened files.</param>
/// <param name="options">What is given and where to.</param>
internal sealed class TorchAOWeights(ImmutableArray<Checkpoint> files, WeightsOptions options)
{
    /// <summary>Gives the weights.</summary>
    public async IAsyncEnumerable<Weight> ReadAsync(
        IProgress<LoadProgress>? progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var assembly = new TorchAOAssembly(files, options.Warnings);
        var choice = options.Choice;
        var plans = files.Select(file => LoadPlanner.Plan(
            file,
            options.Load,
            tensor => assembly.Find(tensor) is var (weight, _) && choice.Includes(weight.Name),
            dtype: tensor => assembly.Find(tensor) is { Weight.Kind: null } ? options.Load.DTypeOf(tensor.DType) : tensor.DType)).ToArray();
        var shared = new SharedProgress(progress, plans);
        shared.Begin();
        var waiting = new Dictionary<TorchAOTensor, Dictionary<string, Tensor>>(ReferenceEqualityComparer.Instance);
        var loader = new CheckpointLoader();
        try
        {
            foreach (var plan in plans)
            {
                await foreach (var (name, tensor) in loader.StreamAsync(plan, shared.Of(plan), cancellationToken).ConfigureAwait(false))
                {
                    var (weight, field) = assembly.Find(plan.Checkpoint[name])!.Value;
                    if (weight.Kind is null)
                    {
                        yield return new Weight(weight.Name, tensor);
                    }
                    else if (Complete(waiting, weight, field, tensor) is { } complete)
                    {
                        yield return complete;
                    }
                }
            }
        }
        finally
        {
            foreach (var tensor in waiting.Values.SelectMany(parts => parts.Values))
            {
                tensor.Dispose();
            }
        }
    }

    private static Weight? Complete(
        Dictionary<TorchAOTensor, Dictionary<string, Tensor>> waiting, TorchAOTensor weight, string field, Tensor tensor)
    {
        if (!waiting.TryGetValue(weight, out var parts))
        {
            waiting.Add(weight, parts = new(StringComparer.Ordinal));
        }

        parts.Add(field, tensor);
        if (parts.Count < weight.Parts.Length)
        {
            return null;
        }

        waiting.Remove(weight);
        return new Weight(weight.Name, new WeightComponents(weight.Kind!, parts, weight.Attributes));
    }
}
