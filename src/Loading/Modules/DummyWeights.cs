using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Gives a model made-up weights, to measure it without a checkpoint (vLLM's <c>initialize_dummy_weights</c>). Safe for any thread, as long as nobody else writes the model.</summary>
public static class DummyWeights
{
    /// <summary>Fills all parameters and buffers of floating-point types. Integers and truth values stay as they are, and so do blocks, of which the reference sees integers.</summary>
    /// <remarks>
    /// <para>
    /// A value depends on seed, bounds, dtype and the element's index only, on the host as on a GPU. The index is that in the whole (<see cref="Parameter.WholeShape"/>), where
    /// the parameter's loader finds this rank's share: a shard is the slice of the whole, on any number of ranks. Rows that pad a vocabulary are 0, as they are after a load. Functions that are applied
    /// behind a load (<see cref="WeightLoaders.Composed"/>) are not.
    /// </para>
    /// <para>Beside the model a few megabytes are allocated, and freed before this returns. Types of 8 bits are made as F16 and then converted.</para>
    /// </remarks>
    /// <param name="module">The model; its parameters have storage.</param>
    /// <param name="options">Choices; null for the defaults.</param>
    /// <param name="quantization">
    /// How the model is quantised; null where it is not. Of <c>fp8</c>, parameters on the meta device are left out: weights that are quantised as they come are made later.
    /// </param>
    /// <param name="cancellationToken">Ends the work between two parameters or buffers.</param>
    /// <exception cref="ArgumentException">A parameter has no storage, or a type that nothing is converted to (F4, F6, F8_E8M0); the message has its name.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The bounds are not finite and in order.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static void Initialize(
        Module module, DummyWeightsOptions? options = null, QuantizationConfig? quantization = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(module);
        options ??= new DummyWeightsOptions();
        if (!float.IsFinite(options.High - options.Low) || options.Low > options.High)
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.High, $"From {options.Low} on, this is no interval of a finite width.");
        }

        var filling = new DummyFilling(options.Seed, options.Low, options.High);
        var skipsMeta = quantization?.Name == "fp8";
        foreach (var (name, parameter) in module.NamedParameters())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (IsFilled(name, parameter.Data, skipsMeta))
            {
                filling.Fill(name, parameter);
            }
        }

        foreach (var (name, buffer) in module.NamedBuffers())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (IsFilled(name, buffer, skipsMeta))
            {
                filling.Fill(buffer, 0);
            }
        }
    }

    private static bool IsFilled(string name, Tensor tensor, bool skipsMeta)
    {
        if (tensor.Device.Kind == DeviceKind.Meta)
        {
            return skipsMeta
                ? false
                : throw new ArgumentException($"{Quoted.Name(name)}, {tensor}, has no storage to put values into; load or allocate it first.", nameof(name));
        }

        if (tensor.DType.Kind != DTypeKind.Float)
        {
            return false;
        }

        return Codecs.Targets.Contains(tensor.DType)
            ? true
            : throw new ArgumentException(
                $"{Quoted.Name(name)}, {tensor}, cannot be given values: nothing is converted to {tensor.DType.Name}.", nameof(name));
    }
}
