using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// References of a parameter to the module that it is in: an attribute that is the module, and delegates that are bound to it, among the attributes, as the loader, inside <see cref="WeightLoaders.Composed"/> and
/// <see cref="WeightLoaders.Transposed"/>, and as one of several that are called together. What a closure or a list holds stays as it is.
/// </summary>
internal static class LayerReferences
{
    /// <summary>Stands for the module.</summary>
    private static readonly object Layer = new();

    /// <summary>Takes the module out of a copy of its parameter.</summary>
    public static void Detach(Parameter parameter, Module layer) =>
        Replace(parameter, value => ReferenceEquals(value, layer) ? Layer : value is Delegate one ? DetachAttribute(one, layer) : value, one => Detach(one, layer));

    /// <summary>Puts a module in the place of the one that was taken out.</summary>
    /// <exception cref="ArgumentException">A method is none of the module's class.</exception>
    public static void Attach(Parameter parameter, Module layer) =>
        Replace(
            parameter,
            value => ReferenceEquals(value, Layer) ? layer
                : value is UnboundDelegate unbound ? Delegate.Combine([.. unbound.Calls.Select(call => Attach(call, layer))])
                : value,
            one => Attach(one, layer));

    private static void Replace(Parameter parameter, Func<object?, object?> attribute, Func<Delegate, Delegate> loader)
    {
        foreach (var (name, value) in parameter.Attributes.ToArray())
        {
            parameter.Attributes[name] = attribute(value);
        }

        parameter.Loader = (WeightLoader)loader(parameter.Loader);
    }

    // The single calls change their type while they have no target, and so cannot be one delegate.
    private static object DetachAttribute(Delegate value, Module layer)
    {
        var calls = value.GetInvocationList();
        var detached = calls.Select(call => Detach(call, layer)).ToImmutableArray();
        return calls.SequenceEqual(detached, ReferenceEqualityComparer.Instance) ? value : new UnboundDelegate(detached);
    }

    private static Delegate Detach(Delegate value, Module layer) =>
        Change(value, one => ReferenceEquals(one.Target, layer) ? LayerMethod.Unbound(one) : one.Target is IOuterLoader outer && one is WeightLoader loader ? Inside(outer, loader, inner => Detach(inner, layer)) : one);

    private static Delegate Attach(Delegate value, Module layer) =>
        Change(value, one => one.Target is LayerMethod method ? method.BindTo(layer) : one.Target is IOuterLoader outer && one is WeightLoader loader ? Inside(outer, loader, inner => Attach(inner, layer)) : one);

    // A loader that nothing changes in stays the same one.
    private static WeightLoader Inside(IOuterLoader outer, WeightLoader loader, Func<Delegate, Delegate> change)
    {
        var changed = outer.With(change);
        return ReferenceEquals(changed.Target, outer) ? loader : changed;
    }

    private static Delegate Change(Delegate value, Func<Delegate, Delegate> change)
    {
        var calls = value.GetInvocationList();
        Delegate[] changed = [.. calls.Select(change)];
        return calls.SequenceEqual(changed, ReferenceEqualityComparer.Instance) ? value : Delegate.Combine(changed)!;
    }

    /// <summary>An attribute that was a delegate, as the calls it makes.</summary>
    private sealed record UnboundDelegate(ImmutableArray<Delegate> Calls);
}
