using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace IlgpuLoader.Loading;

/// <summary>The weights of the plans of one file, loaded.</summary>
internal static class FileWeights
{
    /// <summary>Gives the weights in the order in which they arrive; at most the plans' windows wait to be taken.</summary>
    public static async IAsyncEnumerable<Weight> StreamAsync(
        IReadOnlyList<LoadPlan> plans, Func<LoadPlan, IProgress<LoadProgress>?> progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var loader = new CheckpointLoader();
        foreach (var plan in plans)
        {
            await foreach (var (name, tensor) in loader.StreamAsync(plan, progress(plan), cancellationToken).ConfigureAwait(false))
            {
                yield return new Weight(name, tensor);
            }
        }
    }

    /// <summary>Loads all of them, then gives them in the order of their bytes.</summary>
    public static async IAsyncEnumerable<Weight> LoadAsync(
        IReadOnlyList<LoadPlan> plans, Func<LoadPlan, IProgress<LoadProgress>?> progress, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var loader = new CheckpointLoader();
        var models = new List<LoadedModel>(plans.Count);
        try
        {
            foreach (var plan in plans)
            {
                models.Add(await loader.LoadAsync(plan, progress(plan), cancellationToken).ConfigureAwait(false));
            }

            foreach (var model in models)
            {
                foreach (var name in model.Names.ToImmutableArray())
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    yield return new Weight(name, model.Detach(name));
                }
            }
        }
        finally
        {
            foreach (var model in models)
            {
                model.Dispose();
            }
        }
    }
}
