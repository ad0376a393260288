using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Makes what finds the addresses of hosted models, and ends their connections with the host. Safe for any thread.</summary>
/// <param name="options">How remote checkpoints are reached; asked for only where a model has an address.</param>
/// <param name="time">What measures time.</param>
internal sealed class HostedAddresses(Func<RemoteOptions> options, TimeProvider time) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<HostedConnections> _made = [];

    /// <summary>The keys of a model that have an address, and the addresses.</summary>
    /// <param name="model">What is configured.</param>
    public static IEnumerable<(string Key, string Address)> Of(HostedModelOptions model) =>
        new (string Key, string? Path)[] { (nameof(model.Path), model.Path), (nameof(model.Weights), model.Weights) }
            .Where(key => key.Path is not null && AddressScheme.Of(key.Path) is not null)
            .Select(key => (key.Key, key.Path!));

    /// <summary>Refuses settings of servers that cannot be, where a model has an address.</summary>
    /// <param name="model">What is configured.</param>
    /// <exception cref="ArgumentException">The environment has a value for a server that cannot be.</exception>
    public void ThrowIfUnreachable(HostedModelOptions model) => Make(model)?.Dispose();

    /// <summary>Makes what finds the addresses of a model.</summary>
    /// <param name="model">What is configured.</param>
    /// <returns>Null of a model without an address. This disposes it.</returns>
    /// <exception cref="ArgumentException">The environment has a value for a server that cannot be.</exception>
    public HostedConnections? For(HostedModelOptions model)
    {
        if (Make(model) is not { } made)
        {
            return null;
        }

        lock (_lock)
        {
            _made.Add(made);
        }

        return made;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _made.ForEach(made => made.Dispose());
            _made.Clear();
        }
    }

    private HostedConnections? Make(HostedModelOptions model) =>
        Of(model).Any() ? new HostedConnections(options() with { Access = model.Stream ? RemoteAccess.Stream : RemoteAccess.Cache }, time) : null;
}
