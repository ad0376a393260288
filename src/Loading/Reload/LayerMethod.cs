using System.Reflection;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A method of a module that was the target of a delegate, without the module.</summary>
/// <param name="type">The delegate's type.</param>
/// <param name="method">The method, also a static one that has the module as its first argument.</param>
internal sealed class LayerMethod(Type type, MethodInfo method)
{
    /// <summary>Makes a delegate without its target; a loader or function throws until it is bound again.</summary>
    public static Delegate Unbound(Delegate bound)
    {
        var method = new LayerMethod(bound.GetType(), bound.Method);
        return bound switch
        {
            WeightLoader => new WeightLoader(method.Load),
            Func<Tensor, Tensor> => new Func<Tensor, Tensor>(method.Apply),
            _ => new Action(method.Call),
        };
    }

    /// <summary>Binds the method to a module.</summary>
    /// <exception cref="ArgumentException">The method is none of the module's class.</exception>
    public Delegate BindTo(Module layer)
    {
        try
        {
            return Delegate.CreateDelegate(type, layer, method);
        }
        catch (ArgumentException exception)
        {
            throw new ArgumentException(
                $"{method.Name} is a method of {method.DeclaringType?.Name}, and a {layer.ClassName} has none that it could be bound to: restore what was captured into a module of the same class.",
                nameof(layer),
                exception);
        }
    }

    private void Load(Parameter parameter, Weight weight, ShardId shard) => throw NotBound($"The loader of parameter {Quoted.Name(parameter.Name)}");

    private Tensor Apply(Tensor tensor) => throw NotBound("A function of a loader");

    private void Call() => throw NotBound("An attribute");

    private InvalidOperationException NotBound(string what) =>
        new($"{what} is the method {method.Name} of a layer that was captured: restore the layer first ({nameof(MetaTensors.RestoreLayerOnMeta)}).");
}
