using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Small models, and weights that are there.</summary>
internal static class ModuleSample
{
    /// <summary>Two parts of six and two rows of four.</summary>
    public static LinearLayout Whole { get; } = new(4, [new PackedPart("a", 6), new PackedPart("b", 2)]);

    /// <summary>The tensors of a sample as weights with values.</summary>
    public static IEnumerable<Weight> Loaded(Sample sample, Shape? shape = null) =>
        sample.Tensors.Select(tensor => new Weight(
            tensor.Key, Tensor.FromValues<byte>(DType.F32, tensor.Key == "a" ? shape ?? new Shape(6, 4) : new Shape(2, 4), tensor.Value)));

    /// <summary>A model of one packed parameter, weight.</summary>
    public static PackedModule Packed(LinearLayout layout, DType dtype)
    {
        var module = new PackedModule();
        module.Register("weight", new Parameter(dtype, new Shape(layout.OutputSizePerRank, layout.InputSizePerRank), WeightLoaders.Linear(layout, ParameterAxes.Weight)));
        return module;
    }

    /// <summary>Takes a and b as parts of its parameter weight.</summary>
    public sealed class PackedModule : Module
    {
        public override WeightRoute Route(string name) => name is "a" or "b" ? WeightRoute.To(Parameters["weight"], new ShardId(name)) : base.Route(name);
    }

    /// <summary>Parameters that each get every weight.</summary>
    public sealed class Twins : Module
    {
        public Twins(params IEnumerable<(string Name, DType DType)> parameters)
        {
            foreach (var (name, dtype) in parameters)
            {
                Register(name, new Parameter(dtype, new Shape(300, 40)));
            }
        }

        public override WeightRoute Route(string name) => WeightRoute.To([.. Parameters.Values.Select(parameter => new WeightTarget(parameter))]);
    }
}
