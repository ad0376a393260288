namespace IlgpuLoader.Loading;

/// <summary>The layers of a gated feed-forward network: gate and up projection packed in <c>gate_up_proj</c> (parts <c>gate</c> and <c>up</c>), and <c>down_proj</c>.</summary>
public sealed class GatedFeedForward : Module
{
    /// <summary>Makes the layers, and their parameters on the meta device.</summary>
    /// <param name="hidden">The width of the residual stream.</param>
    /// <param name="intermediate">The features between up and down projection, over all ranks.</param>
    /// <param name="options">What all layers have in common.</param>
    /// <param name="prefix">The full name.</param>
    /// <param name="hasBias">Whether the layers have biases.</param>
    /// <exception cref="ArgumentException">The features cannot be split evenly over the ranks; the message has the numbers.</exception>
    public GatedFeedForward(long hidden, long intermediate, LayerOptions options, string prefix = "", bool hasBias = false)
    {
        ArgumentNullException.ThrowIfNull(options);
        var packed = LinearLayout.ForGateUp(hidden, intermediate, options.Parallel);
        var down = LinearLayout.ForDown(hidden, intermediate, options.Parallel);
        Register("gate_up_proj", new LinearLayer(packed, options.DType, options.Quantization, Module.Join(prefix, "gate_up_proj"), hasBias));
        Register("down_proj", new LinearLayer(down, options.DType, options.Quantization, Module.Join(prefix, "down_proj"), hasBias));
    }
}
