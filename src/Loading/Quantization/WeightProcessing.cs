using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What is done with a model's weights when all of them are loaded.</summary>
public static class WeightProcessing
{
    /// <summary>
    /// Processes the weights of all modules, in the order in which the model lists them: first those of cross-attention projections, by their own method alone; then each module's quantisation method,
    /// with the module's parameters on the target device (<see cref="DeviceLoadingContext"/>); last those of attention modules, with the model's dtype.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="modelDType">The dtype that it computes with.</param>
    /// <param name="device">The target device.</param>
    /// <param name="cancellationToken">Ends it between two modules; those before stay processed.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void Run(Module model, DType modelDType, Device device, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(device);
        // As they are now: what a method registers is not processed again.
        Run([.. model.NamedModules().Select(entry => entry.Module)], modelDType, device, cancellationToken);
    }

    /// <summary>Processes the weights of some modules, as they do of a model's.</summary>
    internal static void Run(IReadOnlyList<Module> modules, DType modelDType, Device device, CancellationToken cancellationToken)
    {
        foreach (var projection in modules.OfType<ICrossAttentionProjection>())
        {
            cancellationToken.ThrowIfCancellationRequested();
            projection.ProcessWeightsAfterLoading();
        }

        foreach (var module in modules)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (module is not ICrossAttentionProjection && module.QuantizeMethod is { } method)
            {
                using var context = DeviceLoadingContext.Enter(module, device);
                method.ProcessWeightsAfterLoading(module, device);
            }
        }

        foreach (var attention in modules.OfType<IAttention>())
        {
            cancellationToken.ThrowIfCancellationRequested();
            attention.ProcessWeightsAfterLoading(modelDType);
        }
    }
}
