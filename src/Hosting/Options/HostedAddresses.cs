using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Finds the addresses of hosted models. Connections are made by the first model that has one, and ended with the host. Safe for any thread.</summary>
/// <param name="options">How remote checkpoints are reached; asked for only where a model has an address.</param>
/// <param name="time">What measures time.</param>
internal sealed class HostedAddresses(Func<RemoteOptions> options, TimeProvider time) : IDisposable
{
    private readonly Lazy<RemoteCheckpoints> _cached = new(() => RemoteCheckpoints.Create(options() with { Access = RemoteAccess.Cache }, time));
    private readonly Lazy<RemoteCheckpoints> _streamed = new(() => RemoteCheckpoints.Create(options() with { Access = RemoteAccess.Stream }, time));

    /// <summary>The keys of a model that have an address, and the addresses.</summary>
    /// <param name="model">What is configured.</param>
    public static IEnumerable<(string Key, string Address)> Of(HostedModelOptions model) =>
        new (string Key, string? Path)[] { (nameof(model.Path), model.Path), (nameof(model.Weights), model.Weights) }
            .Where(key => key.Path is not null && AddressScheme.Of(key.Path) is not null)
            .Select(key => (key.Key, key.Path!));

    /// <summary>What finds the addresses of a model.</summary>
    /// <param name="model">What is configured.</param>
    /// <returns>Null of a model without an address.</returns>
    /// <exception cref="ArgumentException">The environment has a value for a server that cannot be.</exception>
    public IRemoteCheckpoints? For(HostedModelOptions model) =>
        !Of(model).Any() ? null : model.Stream ? _streamed.Value : _cached.Value;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var made in (ReadOnlySpan<Lazy<RemoteCheckpoints>>)[_cached, _streamed])
        {
            if (made.IsValueCreated)
            {
                made.Value.Dispose();
            }
        }
    }
}
