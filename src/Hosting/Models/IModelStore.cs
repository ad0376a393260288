using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>The models of a host. Safe for any thread.</summary>
public interface IModelStore
{
    /// <summary>All configured models, in the order of their names.</summary>
    IReadOnlyList<IHostedModel> Models { get; }

    /// <summary>The devices that models are on, are being loaded onto, or were on, in the order of their ids; of a group its members.</summary>
    IReadOnlyList<Device> Devices { get; }

    /// <summary>A model by its name.</summary>
    /// <param name="name">The name; upper and lower case are the same.</param>
    /// <exception cref="ModelNotConfiguredException">There is none of that name; the message has those that there are.</exception>
    IHostedModel this[string name] { get; }

    /// <summary>Finds a model by its name; upper and lower case are the same.</summary>
    bool TryGetModel(string name, [NotNullWhen(true)] out IHostedModel? model);

    /// <summary>
    /// Follows the models: gives the status of each now, and of each again when it has changed. A reader that is slow gets the newest alone, and progress comes at most every
    /// <paramref name="interval"/>; other changes of one model that follow each other within that time come as the last of them.
    /// </summary>
    /// <param name="interval">The shortest time between two looks.</param>
    /// <param name="cancellationToken">Ends the enumeration with an <see cref="OperationCanceledException"/>.</param>
    /// <returns>Ends when the host ends.</returns>
    IAsyncEnumerable<ModelStatus> WatchAsync(TimeSpan interval, CancellationToken cancellationToken = default);
}
