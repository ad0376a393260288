using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Brings the tensors of a PyTorch file to the devices that a map gives for those that they were saved from.</summary>
/// <param name="options">The map.</param>
internal sealed class StoredLocations(TorchWeightsOptions options)
{
    /// <summary>Plans a file: one plan for each device that tensors of it go to.</summary>
    /// <param name="file">The file, opened.</param>
    /// <param name="load">What the plans may take.</param>
    /// <exception cref="UnsupportedCheckpointException">A tensor was saved from a device that is not in the map.</exception>
    public ImmutableArray<LoadPlan> Plan(Checkpoint file, LoadOptions load)
    {
        if (options.MapLocation is null)
        {
            return [LoadPlanner.Plan(file, load)];
        }

        // Before anything is read, of all files.
        var choice = options.Choice;
        var devices = file.Tensors.Where(tensor => choice.Includes(tensor.Name)).ToDictionary(tensor => tensor.Name, DeviceOf);
        return
        [
            .. devices.Values.Distinct().Select(device => LoadPlanner.Plan(
                file, load with { Device = device }, tensor => devices.TryGetValue(tensor.Name, out var chosen) && chosen == device)),
        ];
    }

    private Device DeviceOf(TensorInfo tensor)
    {
        var location = ((TorchHeader)tensor.File.Header!).LocationOf(tensor);
        return options.MapLocation!.TryGetValue(location, out var device) ? device
            : location == TorchConstants.HostLocation ? HostDevice.Shared
            : throw new UnsupportedCheckpointException(
                $"tensors of {Quoted.Name(location)}",
                tensor.File.Path,
                $"it was saved from {Quoted.Name(location)}, and the map has {(options.MapLocation.Count == 0 ? "no location" : string.Join(", ", options.MapLocation.Keys.Select(Quoted.Name)))}: "
                + $"add the location to {nameof(TorchWeightsOptions)}.{nameof(TorchWeightsOptions.MapLocation)}, or leave the map out to bring all to one device.",
                tensor.File.Format,
                tensor.Name);
    }
}
