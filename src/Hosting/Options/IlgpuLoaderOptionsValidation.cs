using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Checks the options when the host starts, those of configuration and those of code: everything that is wrong is named at once, with the full path of its key.</summary>
/// <param name="sections">The sections that the options are read from.</param>
/// <param name="others">Sections in them that belong to other options.</param>
/// <param name="devices">The devices that the host was given.</param>
/// <param name="addresses">What finds models that are no local files.</param>
internal sealed class IlgpuLoaderOptionsValidation(BoundSections sections, IEnumerable<KnownSection> others, NamedDevices devices, HostedAddresses addresses) : IValidateOptions<IlgpuLoaderOptions>
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, IlgpuLoaderOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (name is not null && name != Options.DefaultName)
        {
            return ValidateOptionsResult.Skip;
        }

        // Read once more, for what is wrong: the options at hand have only what is right.
        var problems = sections.All.SelectMany(section => SectionReader.Read(section, new IlgpuLoaderOptions(), others)).ToList();
        problems.AddRange(CheckAnnotations(sections.Path, options));
        if (!Enum.IsDefined(options.OnFailure))
        {
            problems.Add($"{At(nameof(options.OnFailure))}: '{options.OnFailure}' is none of {string.Join(", ", Enum.GetNames<FailureBehavior>())}");
        }

        if (options.Retry is { } retry && retry.MaximumDelay < retry.FirstDelay)
        {
            problems.Add($"{At(nameof(options.Retry), nameof(retry.MaximumDelay))}: {retry.MaximumDelay} is less than {nameof(retry.FirstDelay)}, {retry.FirstDelay}");
        }

        foreach (var (model, modelOptions) in options.Models)
        {
            var path = At(nameof(options.Models), Quoted.Plain(model));
            if (!ModelName.IsValid(model))
            {
                problems.Add($"{path}: {ModelName.Describe(model)}");
            }

            problems.AddRange(modelOptions is null ? [$"{path}: has no options"] : ModelOptionsCheck.Run(path, modelOptions, devices.Contains));
            if (modelOptions is not null)
            {
                problems.AddRange(CheckReach(path, modelOptions));
            }
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems.Distinct(StringComparer.Ordinal));
    }

    // What is set of servers matters to addresses alone. Nobody is asked yet.
    private IEnumerable<string> CheckReach(string path, HostedModelOptions model)
    {
        string? problem = null;
        try
        {
            addresses.ThrowIfUnreachable(model);
        }
        catch (ArgumentException exception)
        {
            problem = ModelOptionsCheck.MessageOf(exception);
        }

        return problem is null ? [] : HostedAddresses.Of(model).Select(found => $"{path}:{found.Key}: {AddressScheme.WithoutSecrets(found.Address)} cannot be reached: {problem}");
    }

    // Not by [OptionsValidator]: what that generates names properties by their types, and enters no dictionary.
    private static IEnumerable<string> CheckAnnotations(string path, object options)
    {
        foreach (var property in SectionReader.PropertiesOf(options.GetType()))
        {
            var key = path.Length == 0 ? property.Name : $"{path}:{property.Name}";
            var value = property.GetValue(options);
            foreach (var attribute in property.GetCustomAttributes<ValidationAttribute>().Where(attribute => !attribute.IsValid(value)))
            {
                yield return attribute is RangeAttribute range ? $"{key}: {value} is not between {range.Minimum} and {range.Maximum}" : $"{key}: {attribute.FormatErrorMessage(property.Name)}";
            }

            if (value is null && !OptionValue.IsValue(property.PropertyType))
            {
                yield return $"{key}: has no options";
            }
            else if (value is not null && !OptionValue.IsValue(property.PropertyType) && value is not IEnumerable)
            {
                foreach (var problem in CheckAnnotations(key, value))
                {
                    yield return problem;
                }
            }
        }
    }

    private string At(params IEnumerable<string> keys) => string.Join(':', sections.Path.Length == 0 ? keys : keys.Prepend(sections.Path));
}
